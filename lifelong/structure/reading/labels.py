"""Which dimension of which tensor carries which units: labels that are joined wherever an operation makes sizes agree.

Every index of every dimension of every parameter and buffer starts as a label of its own. What must change together is
then what the network's operations have joined.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lifelong.structure.reading.layer import Role

Axes = dict[int, Tensor]
"""The labels along each labelled dimension of a tensor, of shape (size,)."""


@dataclass(frozen=True)
class Site:
    """One dimension of one parameter or buffer: its labels are `start` to `start + size - 1`."""

    tensor: str
    dim: int
    start: int
    size: int


class Labels:
    """The labels of the tensors of one forward pass, and what has been found out about them.

    Attributes:
        where: the name of the module that is being called; empty outside of all.
        module: that module.
        groups: the labels of channels of grouped convolutions, and how many of them are a group.
    """

    def __init__(self) -> None:
        self.sites: list[Site] = []
        self.roles: dict[Site, set[Role]] = {}
        self.blocks: dict[Site, int] = {}
        self.where = ""
        self.outputs: list[Tensor] = []
        self.module: nn.Module | None = None
        self._total = 0
        self._axes: dict[int, Axes] = {}
        self._alive: list[Tensor] = []
        self.groups: list[tuple[Tensor, int]] = []
        self._from_input: set[int] = set()
        self._shifted: set[int] = set()
        self._joined: list[tuple[Tensor, Tensor]] = []
        self._fixed: list[tuple[Tensor, str]] = []
        self._mixed: list[tuple[Tensor, str]] = []

    @property
    def total(self) -> int:
        """How many labels there are."""
        return self._total

    def add(self, name: str, tensor: Tensor) -> None:
        """Label a parameter or buffer, each index of each dimension anew."""
        axes = {}
        for dim, size in enumerate(tensor.shape):
            site = Site(name, dim, self._total, size)
            self.sites.append(site)
            axes[dim] = torch.arange(self._total, self._total + size)
            self._total += size
        self.put(tensor, axes)

    def placeholder(self, size: int) -> Tensor:
        """Labels of a dimension that no unit lies along, for where some are needed."""
        labels = torch.arange(self._total, self._total + size)
        self._total += size
        self.fix(labels, "they are combined with a tensor that cannot change")
        return labels

    def of(self, tensor: Tensor) -> Axes:
        """The labels of a tensor; empty if its sizes do not depend on any unit."""
        return self._axes.get(id(tensor), {})

    def put(self, tensor: Tensor, axes: Axes) -> None:
        """Say what a tensor's labels are."""
        assert all(tensor.shape[dim] == len(labels) for dim, labels in axes.items()), "a rule's labels do not fit"
        self._axes[id(tensor)] = axes
        self._alive.append(tensor)  # so that its id is not given to another one

    def is_weight(self, tensor: Tensor) -> bool:
        """Whether a tensor was computed from parameters alone."""
        return id(tensor) not in self._from_input

    def from_input(self, tensor: Tensor) -> None:
        """Say that a tensor depends on the network's input."""
        self._from_input.add(id(tensor))
        self._alive.append(tensor)

    def shift(self, tensor: Tensor) -> None:
        """Say that a tensor that was computed from parameters may not be zero where these are."""
        self._shifted.add(id(tensor))
        self._alive.append(tensor)

    def read(self, weight: Tensor, dim: int) -> None:
        """Units are read by the weights along a dimension: those are to be zero where nothing is to be read."""
        labels = self.of(weight)[dim]
        if id(weight) in self._shifted:
            self.fix(labels, "they are read by weights that are computed, and may not be zero where the parameters are")
        self.play(labels, Role.FAN_OUT)

    def is_shifted(self, tensor: Tensor) -> bool:
        """Whether a tensor that was computed from parameters may not be zero where these are."""
        return id(tensor) in self._shifted

    def join(self, one: Tensor, other: Tensor) -> None:
        """Labels that have to change together, pairwise; both of the same shape."""
        self._joined.append((one, other))

    def fix(self, labels: Tensor, reason: str) -> None:
        """Labels that may not change."""
        self._fixed.append((labels, f"{reason}{f' in {self.where!r}' if self.where else ''}"))

    def fix_all(self, tensor: Tensor, reason: str) -> None:
        """No dimension of the tensor may change."""
        for labels in self.of(tensor).values():
            self.fix(labels, reason)

    def end(self, tensor: Tensor, reason: str) -> None:
        """The tensor is one of the network's outputs."""
        self.fix_all(tensor, reason)
        self.outputs += self.of(tensor).values()

    def mix(self, labels: Tensor) -> None:
        """Labels over which the current module normalises."""
        self._mixed.append((labels, self.where))

    def play(self, labels: Tensor, role: Role) -> None:
        """The role of the parameters' dimensions that these labels come from."""
        for site in self._sites_of(labels):
            self.roles.setdefault(site, set()).add(role)

    def in_blocks(self, labels: Tensor, count: int) -> None:
        """The dimension that these labels come from is a row of equal blocks, each with a part of every unit."""
        for site in self._sites_of(labels):
            self.blocks[site] = count

    def _sites_of(self, labels: Tensor) -> list[Site]:
        starts = torch.tensor([site.start for site in self.sites])
        own = labels[labels < self.sites[-1].start + self.sites[-1].size]  # the rest are placeholders
        return [self.sites[index] for index in set((torch.searchsorted(starts, own, right=True) - 1).tolist())]

    def components(self) -> Tensor:
        """Of shape (total,): for each label the smallest label that it is joined with."""
        component = torch.arange(self._total)
        if not self._joined:
            return component
        one = torch.cat([pair[0].flatten() for pair in self._joined])
        other = torch.cat([pair[1].flatten() for pair in self._joined])
        while True:
            smaller = torch.minimum(component[one], component[other])
            before = component.clone()
            for ends in (one, other):
                component.scatter_reduce_(0, before[ends], smaller, "amin")
            component = component[component]
            if torch.equal(component, before):
                return component

    def reasons(self, component: Tensor) -> dict[int, str]:
        """For each component that may not change: the first reason."""
        return {one: texts[0] for one, texts in _by_component(self._fixed, component).items()}

    def mixers(self, component: Tensor) -> dict[int, list[str]]:
        """For each component that is normalised across: the modules."""
        return _by_component(self._mixed, component)


def _by_component(noted: list[tuple[Tensor, str]], component: Tensor) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for labels, text in noted:
        for one in set(component[labels].tolist()):
            found.setdefault(one, []).append(text)
    return found


__all__ = ["Axes", "Labels", "Site"]
