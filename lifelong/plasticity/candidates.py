"""Tells which units and synapses a rule may change. Frozen ones are protected: they are never among them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lifelong.plasticity.moment import Moment
from lifelong.structure import Layer
from lifelong.structure.holding.marks import alive, frozen
from lifelong.structure.operators.choosing import frozen_numbers


def free_units(moment: Moment, layer: str) -> Tensor:
    """Return which units of a layer are not frozen: bool, of shape (units,), on the CPU."""
    return unfrozen(moment.structure.network, moment.layer(layer))


def unfrozen(network: nn.Module, layer: Layer) -> Tensor:
    """Return which units of a layer of any network are not frozen: bool, of shape (units,), on the CPU."""
    mask = torch.ones(layer.units, dtype=torch.bool)
    mask[list(frozen_numbers(network, layer))] = False
    return mask


def live_synapses(moment: Moment, weight: str) -> Tensor:
    """Return which synapses are neither pruned nor read by frozen units: bool, of the weight's shape."""
    mask = alive(moment.structure.network, weight)
    return _read_by_free(moment, weight) if mask is None else _read_by_free(moment, weight) & mask


def pruned_synapses(moment: Moment, weight: str) -> Tensor:
    """Return which synapses are pruned, and not read by frozen units: bool, of the weight's shape."""
    mask = alive(moment.structure.network, weight)
    free = _read_by_free(moment, weight)
    return torch.zeros_like(free) if mask is None else free & ~mask


def _read_by_free(moment: Moment, weight: str) -> Tensor:
    """Return which synapses are read by units that are not frozen: bool, of the weight's shape."""
    network = moment.structure.network
    free = torch.ones_like(network.get_parameter(weight), dtype=torch.bool)
    mark = frozen(network, weight)
    return free if mark is None else free & ~mark
