"""Makes index maps from slots: where new units go, what is left when units go, which entries start again.

Three channels of a 2 x 2 map lie at 0 to 3, 4 to 7 and 8 to 11 of the features of the linear layer that reads them. A
new channel goes to 12 to 15. Where a concatenation has put three channels at 0 to 2 and again at 7 to 9, a new one goes
to 3 and to 11: what lies between moves by one, what lies behind by two.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from lifelong.structure.holding.change import NEW
from lifelong.structure.holding.marks import tensor_of
from lifelong.structure.reading.layer import Layer, Slot

Maps = dict[str, dict[int, Tensor]]
"""The index maps of each tensor, by its name and its dimensions."""


def insertion(slot: Slot, size: int, count: int) -> tuple[Tensor, Tensor]:
    """Return the index map of a dimension that gets new units, and where they lie in it.

    Args:
        slot: where the layer's units lie along that dimension.
        size: the dimension's size before.
        count: how many new units there are.

    Returns:
        The map, int64 of shape (size + count x width,), and positions, int64 of shape (count, width).
    """
    column = torch.arange(slot.width)
    # Columns with the same end are one stretch of a unit: the new units' stretches follow each other behind that end.
    same = slot.ends[:, None] == slot.ends[None, :]
    length = same.sum(1)
    first = torch.where(same, column, slot.width).amin(1)
    # What is inserted at smaller ends shifts everything behind it.
    before = (slot.ends[None, :] < slot.ends[:, None]).sum(1) * count
    positions = slot.ends + 1 + before + torch.arange(count)[:, None] * length + (column - first)
    index = torch.full((size + positions.numel(),), NEW)
    old = torch.ones(len(index), dtype=torch.bool)
    old[positions] = False
    index[old] = torch.arange(size)
    return index, positions


def creation_maps(network: nn.Module, layer: Layer, count: int) -> tuple[Maps, dict[Slot, Tensor]]:
    """Return the index maps of a layer that gets units, and where these lie in each slot, of shape (count, width)."""
    maps: Maps = {}
    places = {}
    for slot in layer.slots:
        size = tensor_of(network, slot.tensor).shape[slot.dim]
        maps.setdefault(slot.tensor, {})[slot.dim], places[slot] = insertion(slot, size, count)
    return maps, places


def renewal_maps(network: nn.Module, layer: Layer, again: Sequence[int]) -> Maps:
    """Return the index maps of a layer of which some units start again in their places."""
    maps: Maps = {}
    for slot in layer.slots:
        index = torch.arange(tensor_of(network, slot.tensor).shape[slot.dim])
        index[slot.positions[list(again)]] = NEW
        maps.setdefault(slot.tensor, {})[slot.dim] = index
    return maps


def removal_maps(network: nn.Module, layer: Layer, gone: Sequence[int]) -> Maps:
    """Return the index maps of a layer that loses units."""
    maps: Maps = {}
    for slot in layer.slots:
        kept = torch.ones(tensor_of(network, slot.tensor).shape[slot.dim], dtype=torch.bool)
        kept[slot.positions[list(gone)]] = False
        maps.setdefault(slot.tensor, {})[slot.dim] = kept.nonzero().flatten()
    return maps
