"""A layer's units, and every place in the network's tensors where they lie."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from torch import Tensor


class Role(StrEnum):
    """Tells what a dimension of a tensor is to the units that lie along it."""

    FAN_IN = "fan-in"
    """The weights with which the units read: rows of a linear layer, filters of a convolution."""
    OWN = "own"
    """One value, or a few, for each unit: a bias, normalisation, running statistics, a depthwise kernel, a mask."""
    FAN_OUT = "fan-out"
    """The weights with which others read the units."""
    TIED = "tied"
    """Fan-in and fan-out at once: tied weights."""


@dataclass(frozen=True, eq=False)
class Slot:
    """Says where a layer's units lie along one dimension of one tensor.

    Attributes:
        tensor: name of the parameter or buffer, as in the network's `state_dict`.
        dim: the dimension.
        role: what the dimension is to the units.
        positions: where each unit lies; int64 of shape (units, width), ascending in each row. The width is 1 in most
            layers. A channel has height x width positions in the linear layer that reads its flattened map.
        ends: the position after which a new unit's value of each column is inserted; int64 of shape (width,).
    """

    tensor: str
    dim: int
    role: Role
    positions: Tensor = field(repr=False)
    ends: Tensor = field(repr=False)

    @property
    def module(self) -> str:
        """Return the name of the module that has the tensor."""
        return self.tensor.rpartition(".")[0]

    @property
    def width(self) -> int:
        """Return how many positions each unit has."""
        return self.positions.shape[1]


@dataclass(frozen=True, eq=False)
class Layer:
    """Describes a layer with units that may change, or gives the reason why they may not.

    Attributes:
        name: the module's, as in `network.named_modules()`; where a module holds several weights, the parameter's.
        units: how many there are. A unit is the smallest part that can change alone: a neuron, a channel, a bundle of
            channels where a grouped convolution or a group normalisation ties them, an attention head.
        slots: every place where the units lie, in this layer and in all others.
        fixed: why the units cannot change; None if they can.
        mixed: modules that normalise across the units (layer normalisation). Adding a unit there changes the output
            whatever its weights are, so that no growth of this layer preserves the network's function.
    """

    name: str
    units: int
    slots: tuple[Slot, ...] = field(repr=False)
    fixed: str | None = None
    mixed: tuple[str, ...] = ()

    def slots_of(self, *roles: Role) -> tuple[Slot, ...]:
        """Return the slots that have one of these roles."""
        return tuple(slot for slot in self.slots if slot.role in roles)
