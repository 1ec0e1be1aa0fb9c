"""Which units and synapses a rule may change: the protected ones, frozen on purpose, are not among them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lifelong.plasticity.moment import Moment
from lifelong.structure import Layer
from lifelong.structure.holding.marks import alive, frozen
from lifelong.structure.operators.choosing import frozen_numbers


def free_units(moment: Moment, layer: str) -> Tensor:
    """Units that are not frozen: bool, of shape (units,), on the CPU."""
    return unfrozen(moment.structure.network, moment.layer(layer))


def unfrozen(network: nn.Module, layer: Layer) -> Tensor:
    """The same, of any network and layer."""
    mask = torch.ones(layer.units, dtype=torch.bool)
    mask[list(frozen_numbers(network, layer))] = False
    return mask


def live_synapses(moment: Moment, weight: str) -> Tensor:
    """Synapses that are neither pruned nor read by frozen units: bool, of the weight's shape."""
    mask = alive(moment.structure.network, weight)
    return _read_by_free(moment, weight) if mask is None else _read_by_free(moment, weight) & mask


def pruned_synapses(moment: Moment, weight: str) -> Tensor:
    """Pruned synapses that are not read by frozen units: bool, of the weight's shape."""
    mask = alive(moment.structure.network, weight)
    free = _read_by_free(moment, weight)
    return torch.zeros_like(free) if mask is None else free & ~mask


def _read_by_free(moment: Moment, weight: str) -> Tensor:
    network = moment.structure.network
    free = torch.ones_like(network.get_parameter(weight), dtype=torch.bool)
    mark = frozen(network, weight)
    return free if mark is None else free & ~mark


__all__ = ["free_units", "live_synapses", "pruned_synapses", "unfrozen"]
