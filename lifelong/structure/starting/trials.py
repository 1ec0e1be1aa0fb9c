"""Try units before they exist: for one run each takes the place of a unit that does, with all that lies between its
layer and those that read it (normalisation, activation, pooling, flattening), whatever that is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from lifelong.structure.errors import StructureError
from lifelong.structure.holding.marks import frozen, owner, tensor_of
from lifelong.structure.reading.layer import Role, Slot
from lifelong.structure.starting.capture import Closure, Pass, run
from lifelong.structure.starting.initialisers import Growth

_KINDS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)

Values = Mapping[Slot, Tensor]
"""Entries of a few units, as in `Start.values`."""


class Trials:
    """A layer between the modules that make its units and those that read them, run by a closure.

    Args:
        growth: which layer.
        closure: runs the network and returns the loss.

    Raises:
        StructureError: if units cannot be tried in that layer; the message says why.
    """

    def __init__(self, growth: Growth, closure: Closure) -> None:
        self.growth = growth
        self.closure = closure
        self.network = growth.structure.network
        self.layer = growth.structure.layers[growth.layer.name]
        self.fan_in = self.layer.slots_of(Role.FAN_IN)
        self.own = self.layer.slots_of(Role.OWN)
        self.fan_out = self.layer.slots_of(Role.FAN_OUT)
        self._refuse_unsuitable()

    @property
    def places(self) -> int:
        """How many units can be tried at once."""
        return self.layer.units

    def growth_of(self, count: int) -> Growth:
        """As if `count` units were asked for, without a fan-out."""
        return replace(self.growth, count=count).without(Role.FAN_OUT)

    def look(self, added: Mapping[str, Tensor] | None = None, *, gradients: bool = True) -> Pass:
        """Run the network as it is; `added` is added to the outputs of the modules that read the units.

        Raises:
            StructureError: if the closure does not run the layer, each module once, its units made before they are
                read.
        """
        seen = run(self.network, self.closure, self._watched, added=added, gradients=gradients)
        self._refuse_order(seen.order)
        return seen

    def try_units(self, values: Values, *, gradients: bool = False) -> Pass:
        """Run the network with other units in the place of its first ones."""
        instead: dict[str, Tensor] = {}
        for slot in self.fan_in + self.own:
            tensor = instead.get(slot.tensor, tensor_of(self.network, slot.tensor).detach())
            value = values[slot].to(tensor)
            instead[slot.tensor] = tensor.index_copy(slot.dim, self._places(slot, value).to(tensor.device), value)
        return run(self.network, self.closure, self._watched, instead=instead, gradients=gradients)

    def read(self, seen: Pass, values: Values) -> dict[str, Tensor]:
        """What tried units with this fan-out add to the outputs of each module that was called.

        It is linear in the fan-out. Synapses to frozen units are zero.
        """
        added = {}
        for slot in self.fan_out:
            module, name = self._module(slot), slot.module
            if name not in seen.inputs:
                continue
            weight = torch.zeros_like(tensor_of(self.network, slot.tensor))
            value = values[slot].to(weight)
            weight = weight.index_copy(slot.dim, self._places(slot, value).to(weight.device), value)
            if (mark := frozen(self.network, slot.tensor)) is not None:
                weight = weight.masked_fill(mark, 0)
            tensors = {"weight": weight} | ({} if module.bias is None else {"bias": torch.zeros_like(module.bias)})
            added[name] = torch.func.functional_call(module, tensors, (seen.inputs[name].to(weight),))
        return added

    def activations(self, seen: Pass, count: int) -> Tensor:
        """Of shape (count, patterns): the first units' activations as they are read, on each sample (and place)."""
        found = []
        for slot in self.fan_out:
            if (name := slot.module) in seen.inputs:
                read = seen.inputs[name].detach()
                units = read.movedim(feature_dim(self._module(slot)), 0)
                found.append(units[slot.positions[:count].to(read.device)].reshape(count, -1))
        return torch.cat(found, dim=1)

    def readers(self, seen: Pass) -> list[str]:
        """The modules that read the units in a run."""
        return [name for name in [slot.module for slot in self.fan_out] if name in seen.inputs]

    def existing(self, slots: Iterable[Slot]) -> Tensor:
        """Of shape (units, entries): the existing units' entries in these slots."""
        rows = []
        for slot in slots:
            tensor = tensor_of(self.network, slot.tensor).detach()
            values = tensor.index_select(slot.dim, slot.positions.flatten().to(tensor.device))
            rows.append(to_rows(slot, values))
        return torch.cat(rows, dim=1)

    def to_values(self, slots: Iterable[Slot], rows: Tensor) -> dict[Slot, Tensor]:
        """Rows of entries, one for each of a few units, as values for these slots."""
        values, start = {}, 0
        for slot in slots:
            tensor = tensor_of(self.network, slot.tensor)
            entries = slot.width * tensor.select(slot.dim, 0).numel()
            values[slot] = from_rows(slot, rows[:, start : start + entries], tensor.shape)
            start += entries
        return values

    @property
    def _watched(self) -> list[str]:
        return list(dict.fromkeys(slot.module for slot in self.fan_in + self.fan_out))

    def _module(self, slot: Slot) -> nn.Linear | nn.Conv2d:
        module = owner(self.network, slot.tensor)[0]
        assert isinstance(module, _KINDS)
        return module  # type: ignore[return-value]

    def _places(self, slot: Slot, values: Tensor) -> Tensor:
        """Where the first units lie."""
        return slot.positions[: values.shape[slot.dim] // slot.width].flatten()

    def _refuse_unsuitable(self) -> None:
        name = self.layer.name
        if self.layer.mixed:
            raise StructureError(
                f"{name!r}: {self.layer.mixed[0]!r} normalises its units together, so that none can be tried alone"
            )
        if self.layer.slots_of(Role.TIED) or not self.fan_in or not self.fan_out:
            raise StructureError(f"{name!r}: its units have no fan-in and fan-out of their own")
        held = [parameter for module in self.network.modules() for parameter in module._parameters.values()]
        for slot in self.fan_in + self.fan_out:
            module, attribute = owner(self.network, slot.tensor)
            if not isinstance(module, _KINDS) or attribute != "weight":
                raise StructureError(
                    f"{name!r}: {slot.tensor!r} is in a {type(module).__name__}, not a linear layer or a convolution"
                )
            if getattr(module, "groups", 1) > 1:
                raise StructureError(
                    f"{name!r}: {slot.module!r} is a grouped convolution, whose channels cannot be tried alone"
                )
            if sum(parameter is module.weight for parameter in held) > 1:
                raise StructureError(f"{name!r}: {slot.tensor!r} is shared with another module")

    def _refuse_order(self, order: list[str]) -> None:
        name = self.layer.name
        if repeated := [module for module in order if order.count(module) > 1]:
            raise StructureError(f"{name!r}: the closure runs {repeated[0]!r} more than once")
        makers, readers = ([slot.module for slot in slots] for slots in (self.fan_in, self.fan_out))
        if missing := [maker for maker in makers if maker not in order]:
            raise StructureError(f"{name!r}: the closure does not run {missing[0]!r}")
        places = [order.index(reader) for reader in readers if reader in order]
        if not places:
            raise StructureError(f"{name!r}: the closure runs none of the modules that read its units")
        if min(places) <= max(order.index(maker) for maker in makers):
            raise StructureError(
                f"{name!r}: its units are a residual stream: {order[min(places)]!r} reads it before all is made"
            )


def to_rows(slot: Slot, values: Tensor) -> Tensor:
    """Of shape (units, entries): values of a slot, by unit."""
    return values.movedim(slot.dim, 0).reshape(values.shape[slot.dim] // slot.width, -1)


def from_rows(slot: Slot, rows: Tensor, shape: Sequence[int]) -> Tensor:
    """Values of a slot from its entries by unit; the tensor has this shape, of whatever size along the slot's."""
    sizes = [size for dim, size in enumerate(shape) if dim != slot.dim]
    return rows.reshape(-1, *sizes).movedim(0, slot.dim)


def feature_dim(module: nn.Module) -> int:
    """The dimension of a linear layer's or a convolution's inputs and outputs that has the features, from the last."""
    return -1 - len(getattr(module, "kernel_size", ()))
