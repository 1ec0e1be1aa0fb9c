"""Records the activations of units, as those that read them are given them.

Hooks record them. They exist during the forward pass of training only: so a copy or a pickle of the network holds no
hook, and passes that evaluations or other plug-ins make (Fisher information, distillation) are not recorded.
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
    """Holds the activations of some layers' units in the last forward pass of training.

    A unit's activation is what its readers are given: after the non-linearity, normalisation and pooling. Where several
    modules read a layer (the heads of a multi-head network, the blocks along a residual stream), the inputs of all of
    them count as samples.

    Args:
        layers: names of the layers to record; without any, nothing is recorded and no time is spent.

    >>> network = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
    >>> structure = Structure(network, torch.zeros(1, 2))
    >>> recorded = Activations(["0"])
    >>> recorded.start(structure)
    >>> outputs = network(torch.zeros(5, 2))
    >>> recorded.stop()
    >>> recorded.of("0").shape
    torch.Size([5, 3])
    """

    def __init__(self, layers: Iterable[str] = ()) -> None:
        self.layers = tuple(layers)
        self._handles: list[RemovableHandle] = []
        self._given: dict[str, list[tuple[Slot, nn.Module, Tensor]]] = {}
        # Put together only when first asked for, and then kept: it costs time, and several scores may ask.
        self._found: dict[str, Tensor] = {}

    @property
    def layers(self) -> tuple[str, ...]:
        """Return the names of the recorded layers; set them again after a change, so that readers are found anew."""
        return self._layers

    @layers.setter
    def layers(self, names: Iterable[str]) -> None:
        # Finding the readers walks through the structure, so it is done once for each structure, not at each step.
        self._layers = tuple(dict.fromkeys(names))
        self._watched: list[tuple[str, Slot, nn.Module]] | None = None

    def start(self, structure: Structure) -> None:
        """Forget the last pass, and record from now on.

        Args:
            structure: the structure of the network that is about to run.

        Raises:
            UsageError: if a layer cannot be recorded, see `check_watchable`.
        """
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
        """Stop recording; what was recorded stays."""
        for handle in self._handles:
            handle.remove()
        self._handles = []

    def _hook(self, layer: str, slot: Slot) -> Any:
        # The list, not `self`: a hook then holds no reference to the plug-in.
        given = self._given[layer]

        def hook(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            # Detached, so that the graph of the pass can be freed.
            given.append((slot, module, (args[0] if args else kwargs["input"]).detach()))

        return hook

    def of(self, layer: str) -> Tensor:
        """Return the activations of a layer in the last pass, of shape (samples, units).

        Each sample of the batch counts, at each place of an image, for each module that reads the layer.

        Raises:
            UsageError: if nothing of this layer was recorded.
        """
        if layer not in self._found:
            if not self._given.get(layer):
                raise UsageError(f"no activations of {layer!r} were recorded: does the score say that it watches them?")
            parts = [_by_unit(*given) for given in self._given[layer]]
            self._found[layer] = parts[0] if len(parts) == 1 else torch.cat(parts)
        return self._found[layer]

    def carry(self, change: Change, layer: str, units: int) -> None:
        """Follow a change of a layer; new and reset units count as silent.

        Args:
            change: what was done.
            layer: the name that the layer had before the change.
            units: how many units it had before the change.
        """
        if layer not in self.layers or not (self._given.get(layer) or layer in self._found):
            return
        index = change.unit_map(units)
        old = self.of(layer)
        self._found[layer] = old[:, index.clamp(min=0).to(old.device)].masked_fill((index < 0).to(old.device), 0)

    def rename(self, change: Change) -> None:
        """Let layers whose modules have moved be known by their new names."""
        self._found, self._given = renamed_keys(self._found, change), renamed_keys(self._given, change)

    def __getstate__(self) -> dict[str, Any]:
        # Only the names: modules, handles and activations belong to the pass that was recorded.
        return {"_layers": self._layers, "_watched": None, "_handles": [], "_given": {}, "_found": {}}


def check_watchable(structure: Structure, layer: str) -> None:
    """Refuse a layer whose activations cannot be recorded.

    Raises:
        UsageError: if what reads it is neither linear nor a convolution without groups.
    """
    _readers(structure, layer)


def _readers(structure: Structure, layer: str) -> list[tuple[Slot, nn.Module]]:
    """Return the modules that read a layer's units, each with the slots of these units in its weight."""
    readers: list[tuple[Slot, nn.Module]] = []
    for slot in structure.layer(layer).slots_of(Role.FAN_OUT):
        module = structure.network.get_submodule(slot.module)
        # Only of these is it known in which dimension of their input the units lie; groups would shift their numbers.
        if not isinstance(module, nn.Linear | _ConvNd) or getattr(module, "groups", 1) > 1:
            raise UsageError(
                f"the activations of {layer!r} cannot be recorded: they are read by {slot.module!r}, "
                f"a {type(module).__name__} that is neither linear nor a convolution without groups"
            )
        readers.append((slot, module))
    return readers


def _by_unit(slot: Slot, module: nn.Module, given: Tensor) -> Tensor:
    """Return what a reader was given as a tensor of shape (samples, units); each place of a unit is a sample."""
    if isinstance(module, _ConvNd):
        # Channels come last, whether there is a batch dimension or not.
        given = given.movedim(given.dim() - len(module.kernel_size) - 1, -1)
    rows = given.reshape(-1, given.shape[-1])
    if in_order(slot, rows.shape[1]):
        return rows
    # A unit lies in several columns behind a flattening, or the columns of several layers are joined: each column of a
    # unit becomes a row, and columns of other layers are left out.
    return rows.index_select(1, slot.positions.t().flatten().to(rows.device)).view(-1, len(slot.positions))
