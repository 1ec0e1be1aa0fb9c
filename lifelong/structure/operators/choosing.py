"""Checks which units an operator is asked to change, and whether it may."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn

from lifelong.structure.checks import unit_numbers
from lifelong.structure.errors import StructureError
from lifelong.structure.holding.marks import frozen
from lifelong.structure.reading.layer import Layer, Role


def frozen_numbers(network: nn.Module, layer: Layer) -> tuple[int, ...]:
    """Return the numbers of a layer's frozen units."""
    held = torch.zeros(layer.units, dtype=torch.bool)
    # Fan-out is not looked at: a mark there is that of the units which read this layer.
    for slot in layer.slots_of(Role.FAN_IN, Role.OWN):
        if (mark := frozen(network, slot.tensor)) is not None:
            held |= mark.view(-1).cpu()[slot.positions].any(1)
    return tuple(held.nonzero().flatten().tolist())


def chosen_units(
    network: nn.Module, layer: Layer, units: Iterable[int], *, may_be_frozen: bool = False
) -> tuple[int, ...]:
    """Return the numbers of the units that an operator was asked to change.

    Args:
        network: the network, with its marks.
        layer: the layer.
        units: numbers from 0 to the layer's units - 1, as any iterable of integers.
        may_be_frozen: whether the operator leaves frozen units as they are, so that they may be named.

    Raises:
        StructureError: if there are none, or one of them is out of range, named twice, or frozen.
    """
    chosen = unit_numbers(units, layer.name)
    if not chosen:
        raise StructureError(f"{layer.name!r}: no unit was named")
    if wrong := [unit for unit in chosen if not 0 <= unit < layer.units]:
        raise StructureError(f"{layer.name!r} has units 0 to {layer.units - 1}, there is no unit {wrong[0]}")
    if len(set(chosen)) < len(chosen):
        raise StructureError(f"{layer.name!r}: unit {max(chosen, key=chosen.count)} is named twice")
    held = set() if may_be_frozen else set(frozen_numbers(network, layer)) & set(chosen)
    if held:
        raise StructureError(f"{layer.name!r}: unit {min(held)} is frozen; unfreeze it first")
    return chosen
