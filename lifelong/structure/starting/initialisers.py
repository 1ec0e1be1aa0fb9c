"""Says how new units start. Each initialiser names its source; those that need data have files of their own."""

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
    """Says what an initialiser is asked for: values for `count` new (or reinitialised) units of a layer.

    Attributes:
        structure: the structure, before the change.
        layer: the layer, before the change.
        count: how many units are asked for.
        sizes: the shape that each tensor of the layer's slots has after the change, by its name.
        places: where the new units will lie in each slot, of shape (count, width).
        maps: the index maps of each tensor, by its name.
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
        """Return the shape of the new values in a slot: the tensor's, with count x width along the slot's dimension.

        Along that dimension the values are ordered by unit, then by the unit's positions. For two new channels in a
        linear layer of shape (10, n) that reads their flattened 2 x 2 maps, it is (10, 8).
        """
        sizes = list(self.sizes[slot.tensor])
        sizes[slot.dim] = self.count * slot.width
        return tuple(sizes)

    def without(self, *roles: Role) -> Growth:
        """Return the same without the slots of these roles, for an initialiser that does not fill them."""
        slots = tuple(slot for slot in self.layer.slots if slot.role not in roles)
        return replace(self, layer=replace(self.layer, slots=slots))


@dataclass(frozen=True, eq=False)
class Start:
    """Holds values for new units.

    Attributes:
        values: the values for every slot of the layer, of shape `Growth.shape(slot)`. Where two slots of one tensor
            cross, the later one in `layer.slots` holds. A frozen unit's synapses from new units are zero whatever is
            said here.
        scale: a factor on the fan-out of each existing unit, float64 of shape (units,); None leaves them as they are.
    """

    values: Mapping[Slot, Tensor]
    scale: Tensor | None = None


class Initialiser(ABC):
    """Says how new units start."""

    @abstractmethod
    def start(self, growth: Growth) -> Start:
        """Return values for the new units.

        Args:
            growth: which units, of which layer.

        Raises:
            StructureError: if this layer's units cannot start in this way.
        """


def check_initialiser(new: object) -> None:
    """Raise a StructureError if something else than an initialiser was given."""
    if not isinstance(new, Initialiser):
        made = f": make one, {new.__name__}()" if isinstance(new, type) and issubclass(new, Initialiser) else ""
        raise StructureError(f"how units start is said by an Initialiser, such as ZeroFanOut(), not by {new!r}{made}")


@dataclass(frozen=True)
class Fresh(Initialiser):
    """Starts units as the layer was first initialised: by default as torch's constructor of the layer draws them.

    Parameters of modules that are not torch's are drawn from a normal distribution with the mean and the standard
    deviation of the existing entries. This is our choice, because their first distribution cannot be known.

    >>> from lifelong.structure import Structure, create_units
    >>> network = torch.nn.Sequential(torch.nn.Linear(3, 5), torch.nn.ReLU(), torch.nn.Linear(5, 2))
    >>> _ = create_units(Structure(network, torch.zeros(1, 3)), "0", 2, Fresh())
    >>> network[2].weight[:, 5:].count_nonzero().item()
    4

    Args:
        weights: how the network draws its weights, if not as torch does: an initialiser of `torch.nn.init`, with its
            arguments bound (`partial(nn.init.kaiming_normal_, mode="fan_out")`). It gets a tensor of the weight's new
            shape.
        generator: draws everything else, on the CPU; torch's global one by default.
    """

    weights: Callable[[Tensor], object] | None = None
    generator: Generator | None = None

    def start(self, growth: Growth) -> Start:
        """Return drawn values for every slot."""
        return Start({slot: self._values(growth, slot) for slot in growth.layer.slots})

    def _values(self, growth: Growth, slot: Slot) -> Tensor:
        shape, full = growth.shape(slot), growth.sizes[slot.tensor]
        module, attribute = owner(growth.structure.network, slot.tensor)
        tensor = tensor_of(growth.structure.network, slot.tensor)
        if self.weights is not None and slot.role is not Role.OWN and tensor.dim() > 1:
            # The whole weight is drawn, so that its fan-in and fan-out count, and a part of it is taken.
            whole = torch.empty(full)
            self.weights(whole)
            return whole.narrow(slot.dim, 0, shape[slot.dim])
        drawn = draw(module, attribute, shape, full, self.generator)
        if drawn is not None:
            return drawn
        # An unknown module: a constant goes on, and everything else gets the existing entries' moments.
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
    """Lets nothing read the new units yet: the network's function is preserved, up to rounding.

    Their fan-out learns first. Continual backpropagation uses it (Dohare et al. 2024, Nature 632, Algorithm 1), among
    many others.

    >>> from lifelong.structure import Structure, create_units
    >>> network = torch.nn.Sequential(torch.nn.Linear(3, 5), torch.nn.ReLU(), torch.nn.Linear(5, 2))
    >>> _ = create_units(Structure(network, torch.zeros(1, 3)), "0", 2, ZeroFanOut())
    >>> network[2].weight[:, 5:].count_nonzero().item()
    0

    Args:
        fan_in: how everything but the fan-out starts.
    """

    fan_in: Initialiser = Fresh()

    def start(self, growth: Growth) -> Start:
        """Return the values of `fan_in`, and zeros.

        Raises:
            StructureError: if fan-in and fan-out are tied, because all would be zero, and never learn.
        """
        if growth.layer.slots_of(Role.TIED):
            raise StructureError(f"{growth.layer.name!r}: its weights are tied, so that fan-out cannot be zero alone")
        start = self.fan_in.start(growth.without(Role.FAN_OUT))
        silent = {slot: torch.zeros(growth.shape(slot)) for slot in growth.layer.slots_of(Role.FAN_OUT)}
        return Start({**start.values, **silent})


@dataclass(frozen=True)
class KeepFanOut(Initialiser):
    """Lets units that start again be read by the same weights as before.

    A unit whose fan-out is zero gets no gradient at its next step. Where units are judged by their gradients, as
    ReGraMa does (Liu et al. 2025, arXiv:2505.24061), it would be chosen again at once.

    >>> from lifelong.structure import Structure, reinitialise_units
    >>> network = torch.nn.Sequential(torch.nn.Linear(3, 5), torch.nn.ReLU(), torch.nn.Linear(5, 2))
    >>> before = network[2].weight.clone()
    >>> _ = reinitialise_units(Structure(network, torch.zeros(1, 3)), "0", [2], KeepFanOut())
    >>> torch.equal(network[2].weight, before)
    True

    Args:
        fan_in: how everything but the fan-out starts.
    """

    fan_in: Initialiser = Fresh()

    def start(self, growth: Growth) -> Start:
        """Return the values of `fan_in`, and the fan-out that there is.

        Raises:
            StructureError: if units are created, which have no fan-out yet, or if fan-in and fan-out are tied.
        """
        if not growth.renewed:
            raise StructureError(f"{growth.layer.name!r}: KeepFanOut is for units that start again, not for new ones")
        if growth.layer.slots_of(Role.TIED):
            raise StructureError(f"{growth.layer.name!r}: its weights are tied, so that fan-out cannot be kept alone")
        start = self.fan_in.start(growth.without(Role.FAN_OUT))
        kept = {slot: _present(growth, slot) for slot in growth.layer.slots_of(Role.FAN_OUT)}
        return Start({**start.values, **kept})


def _present(growth: Growth, slot: Slot) -> Tensor:
    """Return what stands now in a slot of units that start again."""
    tensor = tensor_of(growth.structure.network, slot.tensor).detach()
    positions = slot.positions[list(growth.renewed)].flatten().to(tensor.device)
    return tensor.index_select(slot.dim, positions)


@dataclass(frozen=True)
class Copy(Initialiser):
    """Copies existing units, which share their fan-out with their copies: Net2WiderNet (Chen, Goodfellow & Shlens 2016,
    arXiv:1511.05641, section 2.2).

    The network's function is preserved up to rounding, as long as there is no noise.

    >>> from lifelong.structure import Structure, create_units
    >>> network = torch.nn.Sequential(torch.nn.Linear(3, 5), torch.nn.ReLU(), torch.nn.Linear(5, 2))
    >>> _ = create_units(Structure(network, torch.zeros(1, 3)), "0", 2, Copy([4, 1]))
    >>> network[0].weight[5:].equal(network[0].weight[[4, 1]])
    True

    Args:
        units: which unit each new one copies; drawn with replacement by default, as in the paper.
        noise: the standard deviation of what is added to the copies' fan-in, relative to that of the copied weights, at
            least 0. Without noise a unit and its copy stay the same, unless dropout tells them apart.
        generator: draws units and noise, on the CPU; torch's global one by default.
    """

    units: Sequence[int] | None = None
    noise: float = 0.0
    generator: Generator | None = None

    def start(self, growth: Growth) -> Start:
        """Return copied values, and by how much the fan-out of the copied units shrinks.

        Raises:
            StructureError: if fan-in and fan-out are tied, `units` does not name `count` units of the layer, the noise
                is negative, or units start again.
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
        # A unit with c copies gives each of them, and itself, 1 / (c + 1) of its fan-out: the sum stays what it was.
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
    """Return the entries of the copied units, also along the other dimension where a tensor has units along two."""
    tensor = tensor_of(growth.structure.network, slot.tensor).detach()
    for other in growth.layer.slots:
        if other.tensor == slot.tensor and other is not slot:
            # A copy of a unit that reads its own layer reads the copies, too, as its original reads the originals.
            index = growth.maps[slot.tensor][other.dim].clone()
            index[growth.places[other]] = other.positions[sources]
            tensor = tensor.index_select(other.dim, index.to(tensor.device))
    return tensor.index_select(slot.dim, slot.positions[sources].flatten().to(tensor.device))
