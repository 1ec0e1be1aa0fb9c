"""Tries units before they exist.

Initialisers that look at data need to know what a new unit would do: its activations, and its effect on the modules
that read it. Between the two may lie normalisation, activation, pooling, flattening. Instead of imitating all that, a
trial lets the new unit take the place of an existing one for a single run of the network.

In `Sequential(Linear(3, 5), ReLU(), Linear(5, 2))` up to five new units can be tried at once in layer "0". Their fan-in
stands in for rows of `0.weight` and `0.bias`, of shapes (5, 3) and (5,), while the closure runs (`try_units`). What the
layer `2` was then given, of shape (n, 5), are their activations (`activations`). Times a fan-out, of shape (2, 5), they
are what the units would add to its outputs (`read`). The network's own tensors are never written to.

Values of a few units come in two forms: by slot, shaped like the tensors (`Values`), and as rows, one for each unit,
with all its entries in these slots side by side (`to_rows`, `from_rows`). Unit 0's fan-in above is a row of 3 entries,
its fan-out a row of 2.
"""

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
"""Entries of a few units by slot, as in `Start.values`."""


class Trials:
    """Runs a layer, between the modules that make its units and those that read them, by a closure.

    Args:
        growth: which layer, and how many units are asked for.
        closure: runs the network and returns the loss.

    Raises:
        StructureError: if units cannot be tried in that layer; the message says why.
    """

    def __init__(self, growth: Growth, closure: Closure) -> None:
        self.growth = growth
        self.closure = closure
        self.network = growth.structure.network
        # The whole layer: what is asked for may leave out slots (`Growth.without`).
        self.layer = growth.structure.layers[growth.layer.name]
        self.fan_in = self.layer.slots_of(Role.FAN_IN)
        self.own = self.layer.slots_of(Role.OWN)
        self.fan_out = self.layer.slots_of(Role.FAN_OUT)
        self._refuse_unsuitable()

    @property
    def places(self) -> int:
        """Return how many units can be tried at once."""
        return self.layer.units

    def growth_of(self, count: int) -> Growth:
        """Return what would be asked for if `count` units were wanted, without a fan-out."""
        return replace(self.growth, count=count).without(Role.FAN_OUT)

    def look(self, added: Mapping[str, Tensor] | None = None, *, gradients: bool = True) -> Pass:
        """Run the network as it is.

        Args:
            added: what is added to the outputs of the modules that read the units, by their names.
            gradients: whether to record what gradients need.

        Raises:
            StructureError: if the closure does not run the layer, runs one of its modules twice, or reads its units
                before all of them are made.
        """
        seen = run(self.network, self.closure, self._watched, added=added, gradients=gradients)
        self._refuse_order(seen.order)
        return seen

    def try_units(self, values: Values, *, gradients: bool = False) -> Pass:
        """Run the network with other units in the places of the layer's first ones.

        Args:
            values: the fan-in and own values of these units, at most `places` of them.
            gradients: whether to record what gradients need.
        """
        instead: dict[str, Tensor] = {}
        for slot in self.fan_in + self.own:
            # Two slots may share a tensor: the second is written into what the first has made of it.
            tensor = instead.get(slot.tensor, tensor_of(self.network, slot.tensor).detach())
            value = values[slot].to(tensor)
            instead[slot.tensor] = tensor.index_copy(slot.dim, self._places(slot, value).to(tensor.device), value)
        return run(self.network, self.closure, self._watched, instead=instead, gradients=gradients)

    def read(self, seen: Pass, values: Values) -> dict[str, Tensor]:
        """Return what tried units with this fan-out add to the outputs of each module that was called.

        It is linear in the fan-out. Synapses to frozen units are zero.

        Args:
            seen: the run in which the units were tried.
            values: their fan-out.
        """
        added = {}
        for slot in self.fan_out:
            module, name = self._module(slot), slot.module
            if name not in seen.inputs:  # the head of another task
                continue
            weight = torch.zeros_like(tensor_of(self.network, slot.tensor))
            value = values[slot].to(weight)
            weight = weight.index_copy(slot.dim, self._places(slot, value).to(weight.device), value)
            if (mark := frozen(self.network, slot.tensor)) is not None:
                weight = weight.masked_fill(mark, 0)
            # The module itself is run, with a weight that is zero but for these units, and no bias.
            tensors = {"weight": weight} | ({} if module.bias is None else {"bias": torch.zeros_like(module.bias)})
            added[name] = torch.func.functional_call(module, tensors, (seen.inputs[name].to(weight),))
        return added

    def activations(self, seen: Pass, count: int) -> Tensor:
        """Return the first units' activations as they are read, for each sample (and place): (count, patterns)."""
        activations = []
        for slot in self.fan_out:
            if (name := slot.module) in seen.inputs:
                read = seen.inputs[name].detach()
                units = read.movedim(feature_dim(self._module(slot)), 0)
                activations.append(units[slot.positions[:count].to(read.device)].reshape(count, -1))
        return torch.cat(activations, dim=1)

    def readers(self, seen: Pass) -> list[str]:
        """Return the modules that read the units in a run."""
        return [name for name in [slot.module for slot in self.fan_out] if name in seen.inputs]

    def existing(self, slots: Iterable[Slot]) -> Tensor:
        """Return the existing units' entries in these slots, of shape (units, entries)."""
        rows = []
        for slot in slots:
            tensor = tensor_of(self.network, slot.tensor).detach()
            values = tensor.index_select(slot.dim, slot.positions.flatten().to(tensor.device))
            rows.append(to_rows(slot, values))
        return torch.cat(rows, dim=1)

    def to_values(self, slots: Iterable[Slot], rows: Tensor) -> dict[Slot, Tensor]:
        """Turn rows, one for each of a few units, of shape (units, entries), into values for these slots."""
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
        """Return where as many of the first units lie as there are values for."""
        return slot.positions[: values.shape[slot.dim] // slot.width].flatten()

    def _refuse_unsuitable(self) -> None:
        name = self.layer.name
        if self.layer.mixed:
            raise StructureError(
                f"{name!r}: {self.layer.mixed[0]!r} normalises its units together, so that none can be tried alone"
            )
        if self.layer.slots_of(Role.TIED) or not self.fan_in or not self.fan_out:
            raise StructureError(f"{name!r}: its units have no fan-in and fan-out of their own")
        # By every name under which it is held: a weight that two modules share would be read in both places.
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
        # A residual stream is made by several layers, between which others read it: no single trial can show that.
        if min(places) <= max(order.index(maker) for maker in makers):
            raise StructureError(
                f"{name!r}: its units are a residual stream: {order[min(places)]!r} reads it before all is made"
            )


def to_rows(slot: Slot, values: Tensor) -> Tensor:
    """Turn values of a slot into rows, one for each unit, of shape (units, entries).

    >>> readers = Slot("2.weight", 1, Role.FAN_OUT, positions=torch.arange(5)[:, None], ends=torch.tensor([4]))
    >>> to_rows(readers, torch.zeros(2, 5)).shape
    torch.Size([5, 2])
    """
    return values.movedim(slot.dim, 0).reshape(values.shape[slot.dim] // slot.width, -1)


def from_rows(slot: Slot, rows: Tensor, shape: Sequence[int]) -> Tensor:
    """Turn rows, one for each unit, into values of a slot.

    Args:
        slot: the slot.
        rows: of shape (units, entries).
        shape: the shape of the slot's tensor; its size along the slot's dimension does not matter.
    """
    sizes = [size for dim, size in enumerate(shape) if dim != slot.dim]
    return rows.reshape(-1, *sizes).movedim(0, slot.dim)


def feature_dim(module: nn.Module) -> int:
    """Return the dimension of a layer's inputs and outputs that has the features: -1 if linear, -3 for a Conv2d."""
    return -1 - len(getattr(module, "kernel_size", ()))
