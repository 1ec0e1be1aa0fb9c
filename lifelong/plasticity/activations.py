"""What goes from a layer's units to those that read them, seen by hooks that exist during a training forward only.

So neither an evaluation's copy of the network nor a pickled one has any, and passes that other plug-ins make (Fisher
information, distillation) are not recorded.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd
from torch.utils.hooks import RemovableHandle

from lifelong.errors import UsageError
from lifelong.plasticity.following import renamed_keys
from lifelong.plasticity.weights import in_order
from lifelong.structure import Change, Role, Slot, Structure


class Activations:
    """The activations of some layers' units in the last forward pass of training.

    A unit's activation is what its readers are given: behind the non-linearity, normalisation and pooling. Where
    several modules read a layer (the heads of a multi-head network, the blocks along a residual stream), what each was
    given counts.

    Args:
        layers: names of the layers to record; none costs nothing.
    """

    def __init__(self, layers: Iterable[str] = ()) -> None:
        self.layers = tuple(layers)
        self._handles: list[RemovableHandle] = []
        self._given: dict[str, list[tuple[Slot, nn.Module, Tensor]]] = {}
        self._found: dict[str, Tensor] = {}

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the recorded layers. To name them again lets the network be looked at again, after a change."""
        return self._layers

    @layers.setter
    def layers(self, names: Iterable[str]) -> None:
        self._layers = tuple(dict.fromkeys(names))
        self._watched: list[tuple[str, Slot, nn.Module]] | None = None

    def start(self, structure: Structure) -> None:
        """Record from now on."""
        self.stop()
        self._given = {layer: [] for layer in self.layers}
        self._found = {}
        if self._watched is None:
            self._watched = [(layer, *reader) for layer in self.layers for reader in _readers(structure, layer)]
        self._handles = [
            module.register_forward_pre_hook(self._hook(layer, slot), with_kwargs=True)
            for layer, slot, module in self._watched
        ]

    def stop(self) -> None:
        """Record no more; what was recorded stays."""
        for handle in self._handles:
            handle.remove()
        self._handles = []

    def _hook(self, layer: str, slot: Slot) -> Any:
        given = self._given[layer]

        def hook(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            given.append((slot, module, (args[0] if args else kwargs["input"]).detach()))

        return hook

    def of(self, layer: str) -> Tensor:
        """Of shape (samples, units).

        Raises:
            UsageError: if nothing was recorded of that layer.
        """
        if layer not in self._found:
            if not self._given.get(layer):
                raise UsageError(f"no activations of {layer!r} were recorded: does the score say that it watches them?")
            parts = [_by_unit(*given) for given in self._given[layer]]
            self._found[layer] = parts[0] if len(parts) == 1 else torch.cat(parts)
        return self._found[layer]

    def carry(self, change: Change, layer: str, units: int) -> None:
        """Follow a change of a layer that had so many units; new ones count as silent."""
        if layer not in self.layers or not (self._given.get(layer) or layer in self._found):
            return
        index = change.unit_map(units)
        old = self.of(layer)
        self._found[layer] = old[:, index.clamp(min=0).to(old.device)].masked_fill((index < 0).to(old.device), 0)

    def rename(self, change: Change) -> None:
        """Follow layers whose modules have moved."""
        self._found, self._given = renamed_keys(self._found, change), renamed_keys(self._given, change)

    def __getstate__(self) -> dict[str, Any]:
        return {"_layers": self._layers, "_watched": None, "_handles": [], "_given": {}, "_found": {}}


def check_watchable(structure: Structure, layer: str) -> None:
    """Look whether a layer's activations can be recorded.

    Raises:
        UsageError: if what reads it is neither linear nor a convolution without groups.
    """
    _readers(structure, layer)


def _readers(structure: Structure, layer: str) -> list[tuple[Slot, nn.Module]]:
    """What reads a layer's units, each with where they lie in its weight."""
    readers: list[tuple[Slot, nn.Module]] = []
    for slot in structure.layer(layer).slots_of(Role.FAN_OUT):
        module = structure.network.get_submodule(slot.module)
        if not isinstance(module, nn.Linear | _ConvNd) or getattr(module, "groups", 1) > 1:
            raise UsageError(
                f"the activations of {layer!r} cannot be recorded: they are read by {slot.module!r}, "
                f"a {type(module).__name__} that is neither linear nor a convolution without groups"
            )
        readers.append((slot, module))
    return readers


def _by_unit(slot: Slot, module: nn.Module, given: Tensor) -> Tensor:
    """What a reader was given, of shape (samples, units): each place of a unit is a sample."""
    if isinstance(module, _ConvNd):
        given = given.movedim(given.dim() - len(module.kernel_size) - 1, -1)
    rows = given.reshape(-1, given.shape[-1])
    if in_order(slot, rows.shape[1]):
        return rows
    return rows.index_select(1, slot.positions.t().flatten().to(rows.device)).view(-1, len(slot.positions))


__all__ = ["Activations", "check_watchable"]
