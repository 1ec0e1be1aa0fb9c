"""Index maps from slots: where new units go, what is left when units go, which entries start again."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from lifelong.structure.holding.change import NEW
from lifelong.structure.holding.marks import tensor_of
from lifelong.structure.reading.layer import Layer, Slot

Maps = dict[str, dict[int, Tensor]]
"""The index maps of each tensor, by its name and dimension."""


def insertion(slot: Slot, size: int, count: int) -> tuple[Tensor, Tensor]:
    """The index map of a dimension that gets new units, and where they lie in it: of shape (count, width)."""
    column = torch.arange(slot.width)
    same = slot.ends[:, None] == slot.ends[None, :]
    length = same.sum(1)
    first = torch.where(same, column, slot.width).amin(1)
    before = (slot.ends[None, :] < slot.ends[:, None]).sum(1) * count
    positions = slot.ends + 1 + before + torch.arange(count)[:, None] * length + (column - first)
    index = torch.full((size + positions.numel(),), NEW)
    old = torch.ones(len(index), dtype=torch.bool)
    old[positions] = False
    index[old] = torch.arange(size)
    return index, positions


def creation_maps(network: nn.Module, layer: Layer, count: int) -> tuple[Maps, dict[Slot, Tensor]]:
    """The index maps of all tensors of a layer that gets units, and where these lie in each slot: (count, width)."""
    maps: Maps = {}
    places = {}
    for slot in layer.slots:
        size = tensor_of(network, slot.tensor).shape[slot.dim]
        maps.setdefault(slot.tensor, {})[slot.dim], places[slot] = insertion(slot, size, count)
    return maps, places


def renewal_maps(network: nn.Module, layer: Layer, again: Sequence[int]) -> Maps:
    """The index maps of all tensors of a layer of which some units start again."""
    maps: Maps = {}
    for slot in layer.slots:
        index = torch.arange(tensor_of(network, slot.tensor).shape[slot.dim])
        index[slot.positions[list(again)]] = NEW
        maps.setdefault(slot.tensor, {})[slot.dim] = index
    return maps


def removal_maps(network: nn.Module, layer: Layer, gone: Sequence[int]) -> Maps:
    """The index maps of all tensors of a layer that loses units."""
    maps: Maps = {}
    for slot in layer.slots:
        kept = torch.ones(tensor_of(network, slot.tensor).shape[slot.dim], dtype=torch.bool)
        kept[slot.positions[list(gone)]] = False
        maps.setdefault(slot.tensor, {})[slot.dim] = kept.nonzero().flatten()
    return maps
