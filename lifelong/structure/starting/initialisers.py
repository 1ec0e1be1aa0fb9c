"""How new units start. Each initialiser names its source; those that need data are in files of their own."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import torch
from torch import Generator, Tensor
from torch.nn import Parameter

from lifelong.structure.checks import unit_numbers
from lifelong.structure.errors import StructureError
from lifelong.structure.holding.change import Maps
from lifelong.structure.holding.marks import owner, tensor_of
from lifelong.structure.reading.layer import Layer, Role, Slot
from lifelong.structure.starting.drawing import draw

if TYPE_CHECKING:
    from lifelong.structure.structure import Structure


@dataclass(frozen=True, eq=False)
class Growth:
    """What an initialiser is asked for: values for `count` new (or reinitialised) units of a layer.

    Attributes:
        structure: the network, before the change.
        layer: the layer, before the change.
        count: how many units.
        sizes: the shape that each tensor of the layer's slots has after the change.
        places: for each slot, of shape (count, width): where the new units will lie.
        maps: the index maps of each tensor.
        renewed: the numbers of the units that start again; empty where units are created.
    """

    structure: Structure
    layer: Layer
    count: int
    sizes: Mapping[str, tuple[int, ...]]
    places: Mapping[Slot, Tensor] = field(default_factory=dict)
    maps: Mapping[str, Maps] = field(default_factory=dict)
    renewed: tuple[int, ...] = ()

    def shape(self, slot: Slot) -> tuple[int, ...]:
        """Of the new values in a slot: the tensor's new shape, with count x width along the slot's dimension.

        Along that dimension the values are ordered by unit, then by the unit's positions.
        """
        sizes = list(self.sizes[slot.tensor])
        sizes[slot.dim] = self.count * slot.width
        return tuple(sizes)

    def without(self, *roles: Role) -> Growth:
        """The same, for an initialiser that need not think of the slots of these roles."""
        slots = tuple(slot for slot in self.layer.slots if slot.role not in roles)
        return replace(self, layer=replace(self.layer, slots=slots))


@dataclass(frozen=True, eq=False)
class Start:
    """Values for new units.

    Attributes:
        values: for every slot of the layer, of `Growth.shape(slot)`. Where two slots of one tensor cross, the later one
            in `layer.slots` holds; a frozen unit's synapses from new units are zero whatever is said here.
        scale: of shape (units,), float64: a factor on the fan-out of each existing unit; None leaves them as they are.
    """

    values: Mapping[Slot, Tensor]
    scale: Tensor | None = None


class Initialiser(ABC):
    """How new units start."""

    @abstractmethod
    def start(self, growth: Growth) -> Start:
        """Values for the new units.

        Raises:
            StructureError: if this layer's units cannot start so.
        """


def check_initialiser(new: object) -> None:
    """Raise a StructureError if something else than an initialiser was given."""
    if not isinstance(new, Initialiser):
        made = f": make one, {new.__name__}()" if isinstance(new, type) and issubclass(new, Initialiser) else ""
        raise StructureError(f"how units start is said by an Initialiser, such as ZeroFanOut(), not by {new!r}{made}")


@dataclass(frozen=True)
class Fresh(Initialiser):
    """As the layer was first initialised: by default as torch's own constructor of the layer draws its parameters.

    Parameters of modules that are not torch's start with the mean and the standard deviation of the existing entries;
    this is our choice, for their first distribution cannot be known.

    Args:
        weights: how the network draws its weights, if not as torch does: an initialiser of `torch.nn.init`, with its
            arguments bound (`partial(nn.init.kaiming_normal_, mode="fan_out")`). It gets a tensor of the weight's new
            shape.
        generator: where the rest is drawn, on the CPU; torch's global one by default.
    """

    weights: Callable[[Tensor], object] | None = None
    generator: Generator | None = None

    def start(self, growth: Growth) -> Start:
        """Drawn values for every slot."""
        return Start({slot: self._values(growth, slot) for slot in growth.layer.slots})

    def _values(self, growth: Growth, slot: Slot) -> Tensor:
        shape, full = growth.shape(slot), growth.sizes[slot.tensor]
        module, attribute = owner(growth.structure.network, slot.tensor)
        tensor = tensor_of(growth.structure.network, slot.tensor)
        if self.weights is not None and slot.role is not Role.OWN and tensor.dim() > 1:
            whole = torch.empty(full)
            self.weights(whole)
            return whole.narrow(slot.dim, 0, shape[slot.dim])
        drawn = draw(module, attribute, shape, full, self.generator)
        if drawn is not None:
            return drawn
        existing = tensor.detach().float().cpu()
        if bool((existing == existing.flatten()[0]).all()):
            return existing.flatten()[:1].expand(shape)
        if not isinstance(tensor, Parameter):
            raise StructureError(
                f"the buffer {slot.tensor!r} of {type(module).__name__} has no known value for new units"
            )
        return torch.empty(shape).normal_(float(existing.mean()), float(existing.std()), generator=self.generator)


@dataclass(frozen=True)
class ZeroFanOut(Initialiser):
    """Nothing reads the new units yet: the network's function is preserved, up to rounding. Their fan-out learns first.

    Used by continual backpropagation (Dohare et al. 2024, Nature 632, Algorithm 1), among many others.

    Args:
        fan_in: how everything but the fan-out starts.
    """

    fan_in: Initialiser = Fresh()

    def start(self, growth: Growth) -> Start:
        """The values of `fan_in`, and zeros.

        Raises:
            StructureError: if fan-in and fan-out are tied: all would be zero, and never learn.
        """
        if growth.layer.slots_of(Role.TIED):
            raise StructureError(f"{growth.layer.name!r}: its weights are tied, so that fan-out cannot be zero alone")
        start = self.fan_in.start(growth.without(Role.FAN_OUT))
        silent = {slot: torch.zeros(growth.shape(slot)) for slot in growth.layer.slots_of(Role.FAN_OUT)}
        return Start({**start.values, **silent})


@dataclass(frozen=True)
class Copy(Initialiser):
    """Copies of existing units, which share the fan-out of what they copy: Net2WiderNet (Chen, Goodfellow & Shlens
    2016, arXiv:1511.05641, section 2.2).

    The network's function is preserved up to rounding, as long as there is no noise.

    Args:
        units: which one each new unit copies; drawn with replacement by default, as in the paper.
        noise: standard deviation of what is added to the copies' fan-in, relative to that of the copied weights.
            Without any, twins stay twins, unless dropout tells them apart.
        generator: where units and noise are drawn, on the CPU.
    """

    units: Sequence[int] | None = None
    noise: float = 0.0
    generator: Generator | None = None

    def start(self, growth: Growth) -> Start:
        """Copied values, and by how much the fan-out of the copied units shrinks.

        Raises:
            StructureError: if fan-in and fan-out are tied, `units` names another number of units, or units start again.
        """
        layer = growth.layer
        if growth.renewed:
            raise StructureError(f"{layer.name!r}: Copy is for units that are created")
        if layer.slots_of(Role.TIED):
            raise StructureError(f"{layer.name!r}: its weights are tied, so that fan-out cannot be shared alone")
        if not 0 <= self.noise < float("inf"):
            raise StructureError(f"{layer.name!r}: the noise of copies has to be 0 or more, not {self.noise!r}")
        if self.units is None:
            sources = torch.randint(layer.units, (growth.count,), generator=self.generator)
        else:
            sources = torch.tensor(unit_numbers(self.units, layer.name))
            if wrong := [unit for unit in sources.tolist() if not 0 <= unit < layer.units]:
                raise StructureError(f"{layer.name!r} has units 0 to {layer.units - 1}, there is no unit {wrong[0]}")
        if len(sources) != growth.count:
            raise StructureError(f"{layer.name!r}: {growth.count} units cannot copy {len(sources)}")
        share = 1 / (1.0 + torch.bincount(sources, minlength=layer.units).double())
        values = {slot: self._values(growth, slot, sources, share) for slot in layer.slots}
        return Start(values, scale=share)

    def _values(self, growth: Growth, slot: Slot, sources: Tensor, share: Tensor) -> Tensor:
        copied = _copied(growth, slot, sources)
        shape = [1] * copied.dim()
        shape[slot.dim] = copied.shape[slot.dim]
        if slot.role is Role.FAN_OUT:
            return copied * share[sources].repeat_interleave(slot.width).view(shape).to(copied)
        if slot.role is Role.FAN_IN and self.noise:
            noise = torch.empty(copied.shape).normal_(generator=self.generator)
            return copied + noise.to(copied) * self.noise * copied.std()
        return copied


def _copied(growth: Growth, slot: Slot, sources: Tensor) -> Tensor:
    """The entries of the copied units; where a tensor has units along two dimensions, along the other one too."""
    tensor = tensor_of(growth.structure.network, slot.tensor).detach()
    for other in growth.layer.slots:
        if other.tensor == slot.tensor and other is not slot:
            index = growth.maps[slot.tensor][other.dim].clone()
            index[growth.places[other]] = other.positions[sources]
            tensor = tensor.index_select(other.dim, index.to(tensor.device))
    return tensor.index_select(slot.dim, slot.positions[sources].flatten().to(tensor.device))
