"""Sums and norms over the weights of each unit of a layer."""

from __future__ import annotations

from collections.abc import Callable
from math import prod

import torch
from torch import Tensor, nn

from lifelong.structure import Layer, Role, Slot


@torch.no_grad()
def sum_by_unit(network: nn.Module, layer: Layer, of: Callable[[Tensor], Tensor | None], *roles: Role) -> Tensor:
    """Sum a function of the weights over each unit of a layer.

    Args:
        network: the network that has the layer.
        layer: the layer of the units.
        of: a function from a parameter to a tensor of its shape, such as `torch.abs`; it returns None for a parameter
            that adds nothing.
        roles: which weights of a unit count: `Role.FAN_IN` (it reads with them), `Role.FAN_OUT` (others read it with
            them), or both. Tied weights have both roles.

    Returns:
        A sum for each unit, of shape (units,), in the dtype and on the device of the weights.

    >>> from lifelong.structure import Structure
    >>> network = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
    >>> network[0].weight.data = torch.tensor([[1.0, -2.0], [0.0, 0.0], [3.0, 4.0]])
    >>> sum_by_unit(network, Structure(network, torch.zeros(1, 2)).layer("0"), torch.abs, Role.FAN_IN)
    tensor([3., 0., 7.])
    """
    # The dtype and the device are those of the first weight that adds something; a scalar says that none did.
    total = torch.zeros(())
    for slot in layer.slots_of(*roles, Role.TIED):
        values = of(network.get_parameter(slot.tensor))
        if values is not None:
            total = total.to(values) + along_units(slot, values)
    return total if total.dim() else torch.zeros(layer.units, device=next(network.parameters()).device)


def norm_by_unit(network: nn.Module, layer: Layer, *roles: Role) -> Tensor:
    """Return the Euclidean norm of each unit's weights in these roles, of shape (units,)."""
    return sum_by_unit(network, layer, torch.square, *roles).sqrt()


def along_units(slot: Slot, values: Tensor) -> Tensor:
    """Sum a tensor over what it holds for each unit.

    Args:
        slot: the places of the units in the tensor.
        values: a tensor of the shape of the slot's parameter.

    Returns:
        A sum for each unit, of shape (units,).
    """
    others = [dim for dim in range(values.dim()) if dim != slot.dim]
    along = values.sum(others) if others else values
    # A unit may lie at several places, such as the pixels of a channel behind a flattening.
    return along if in_order(slot, len(along)) else along[slot.positions.to(along.device)].sum(1)


def weights_of_unit(network: nn.Module, layer: Layer, *roles: Role) -> int:
    """Return how many weights in these roles each of a layer's units has."""
    count = 0
    for slot in layer.slots_of(*roles, Role.TIED):
        sizes = network.get_parameter(slot.tensor).shape
        count += prod(sizes) // sizes[slot.dim] * slot.width
    return count


def in_order(slot: Slot, size: int) -> bool:
    """Tell whether a dimension of this size holds the units one by one, in their order, and nothing else."""
    return slot.positions.shape == (size, 1) and torch.equal(slot.positions[:, 0], torch.arange(size))
