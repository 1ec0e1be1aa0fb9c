"""Labels find out which entries of which tensors must change together.

A label is a number. Every index of every dimension of every parameter and buffer gets one of its own. Wherever an
operation needs two sizes to agree, the labels along them are joined pairwise. In the end the labels that are joined
with each other, directly or through others, are one component. A component is a unit, or it may not change.

For `Sequential(Linear(3, 5), ReLU(), Linear(5, 2))` there are 22 labels:

| tensor     | along the rows (dim 0) | along the columns (dim 1) |
|------------|------------------------|---------------------------|
| `0.weight` | 0 to 4                 | 5 to 7                    |
| `0.bias`   | 8 to 12                |                           |
| `2.weight` | 13 and 14              | 15 to 19                  |
| `2.bias`   | 20 and 21              |                           |

- The first layer's result has the labels 0 to 4 along its features. The bias joins 0 with 8, 1 with 9, and so on.
- ReLU works entry by entry: its result has the labels 0 to 4, too.
- The second layer sums over these features and over its columns: 0 is joined with 15, 1 with 16, and so on.
- The labels 5 to 7 are fixed because the network's input cannot change, and 13, 14, 20, 21 because they are outputs.

What is left are the five components {0, 8, 15} to {4, 12, 19}. They are the five hidden units, with everything that has
to go if one of them goes: a row of `0.weight`, an entry of `0.bias`, a column of `2.weight`.
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
    """Names one dimension of one parameter or buffer, whose labels are `start` to `start + size - 1`."""

    tensor: str
    dim: int
    start: int
    size: int


class Labels:
    """Holds the labels of the tensors of one forward pass, and what has been found out about them.

    Rules only note what they find: components are worked out once, when the pass is over.

    Attributes:
        sites: every labelled dimension, in the order of its labels.
        roles: what each site is to the units that lie along it.
        blocks: how many equal blocks a site consists of, each with a part of every unit.
        where: the name of the module that is being called; empty outside of all modules.
        module: that module.
        outputs: the labels along the network's outputs.
        groups: the labels of channels of grouped convolutions, and how many of them are a group.
    """

    def __init__(self) -> None:
        self.sites: list[Site] = []
        self.roles: dict[Site, set[Role]] = {}
        self.blocks: dict[Site, int] = {}
        self.where = ""
        self.module: nn.Module | None = None
        self.outputs: list[Tensor] = []
        self.groups: list[tuple[Tensor, int]] = []
        self._total = 0
        self._starts = torch.empty(0, dtype=torch.int64)
        # Tensors are known by their ids, because they cannot be keys of a dictionary by value.
        self._axes: dict[int, Axes] = {}
        self._alive: list[Tensor] = []
        self._from_input: set[int] = set()
        self._shifted: set[int] = set()
        self._joined: list[tuple[Tensor, Tensor]] = []
        self._fixed: list[tuple[Tensor, str]] = []
        self._mixed: list[tuple[Tensor, str]] = []

    @property
    def total(self) -> int:
        """Return how many labels there are."""
        return self._total

    def add(self, name: str, tensor: Tensor) -> None:
        """Give every index of every dimension of a parameter or buffer a new label."""
        axes = {}
        for dim, size in enumerate(tensor.shape):
            site = Site(name, dim, self._total, size)
            self.sites.append(site)
            axes[dim] = torch.arange(self._total, self._total + size)
            self._total += size
        self.put(tensor, axes)

    def placeholder(self, size: int) -> Tensor:
        """Return new labels, which may not change, for a dimension that no unit lies along."""
        labels = torch.arange(self._total, self._total + size)
        self._total += size
        self.fix(labels, "they are combined with a tensor that cannot change")
        return labels

    def of(self, tensor: Tensor) -> Axes:
        """Return the labels of a tensor; it has none if its sizes do not depend on any unit."""
        return self._axes.get(id(tensor), {})

    def put(self, tensor: Tensor, axes: Axes) -> None:
        """Note a tensor's labels."""
        assert all(tensor.shape[dim] == len(labels) for dim, labels in axes.items()), "a rule's labels do not fit"
        self._axes[id(tensor)] = axes
        self._alive.append(tensor)  # so that its id is not given to another one

    def is_weight(self, tensor: Tensor) -> bool:
        """Tell whether a tensor was computed from parameters alone."""
        return id(tensor) not in self._from_input

    def from_input(self, tensor: Tensor) -> None:
        """Note that a tensor depends on the network's input."""
        self._from_input.add(id(tensor))
        self._alive.append(tensor)

    def shift(self, tensor: Tensor) -> None:
        """Note that a tensor that was computed from parameters may differ from zero where these are zero."""
        self._shifted.add(id(tensor))
        self._alive.append(tensor)

    def read(self, weight: Tensor, dim: int) -> None:
        """Note that units are read by the weights along a dimension."""
        labels = self.of(weight)[dim]
        # A new unit goes unread by a zero in the parameter: that does not help if the weight used is exp(parameter).
        if self.is_shifted(weight):
            self.fix(labels, "they are read by weights that are computed, and may not be zero where the parameters are")
        self.play(labels, Role.FAN_OUT)

    def is_shifted(self, tensor: Tensor) -> bool:
        """Tell whether a tensor that was computed from parameters may differ from zero where these are zero."""
        return id(tensor) in self._shifted

    def join(self, one: Tensor, other: Tensor) -> None:
        """Note that labels have to change together, pair by pair; both have the same shape."""
        self._joined.append((one, other))

    def fix(self, labels: Tensor, reason: str) -> None:
        """Note that labels may not change, and why."""
        self._fixed.append((labels, f"{reason}{f' in {self.where!r}' if self.where else ''}"))

    def fix_all(self, tensor: Tensor, reason: str) -> None:
        """Note that no dimension of the tensor may change."""
        for labels in self.of(tensor).values():
            self.fix(labels, reason)

    def end(self, tensor: Tensor, reason: str) -> None:
        """Note that the tensor is one of the network's outputs."""
        self.fix_all(tensor, reason)
        self.outputs += self.of(tensor).values()

    def mix(self, labels: Tensor) -> None:
        """Note labels over which the current module normalises."""
        self._mixed.append((labels, self.where))

    def play(self, labels: Tensor, role: Role) -> None:
        """Note the role of the parameters' dimensions that these labels come from."""
        for site in self._sites_of(labels):
            self.roles.setdefault(site, set()).add(role)

    def in_blocks(self, labels: Tensor, count: int) -> None:
        """Note that the dimension of these labels consists of equal blocks, each with a part of every unit."""
        for site in self._sites_of(labels):
            self.blocks[site] = count

    def _sites_of(self, labels: Tensor) -> list[Site]:
        if len(self._starts) < len(self.sites):
            self._starts = torch.tensor([site.start for site in self.sites])
        own = labels[labels < self.sites[-1].start + self.sites[-1].size]  # the others are placeholders
        return [self.sites[index] for index in set((torch.searchsorted(self._starts, own, right=True) - 1).tolist())]

    def components(self) -> Tensor:
        """Return for each label the smallest label that it is joined with: int64 of shape (total,)."""
        component = torch.arange(self._total)
        if not self._joined:
            return component
        one = torch.cat([pair[0].flatten() for pair in self._joined])
        other = torch.cat([pair[1].flatten() for pair in self._joined])
        # In each round both ends of every pair take the smaller number of the two. Then each label takes the number of
        # the label that it points to, which halves the length of chains: a deep network needs few rounds.
        while True:
            smaller = torch.minimum(component[one], component[other])
            before = component.clone()
            for ends in (one, other):
                component.scatter_reduce_(0, before[ends], smaller, "amin")
            component = component[component]
            if torch.equal(component, before):
                return component

    def reasons(self, component: Tensor) -> dict[int, str]:
        """Return, for each component that may not change, the first reason."""
        return {one: texts[0] for one, texts in _by_component(self._fixed, component).items()}

    def mixers(self, component: Tensor) -> dict[int, list[str]]:
        """Return, for each component that is normalised together with others, the modules that do so."""
        return _by_component(self._mixed, component)


def _by_component(noted: list[tuple[Tensor, str]], component: Tensor) -> dict[int, list[str]]:
    texts: dict[int, list[str]] = {}
    for labels, text in noted:
        for one in set(component[labels].tolist()):
            texts.setdefault(one, []).append(text)
    return texts
