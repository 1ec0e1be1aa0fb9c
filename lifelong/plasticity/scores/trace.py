"""A score by how much a unit is used, as developmental plasticity (DPAP) measures it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from lifelong.plasticity.moment import Moment
from lifelong.plasticity.scores.base import UnitScore


@dataclass
class Trace(UnitScore):
    """Scores a unit by the spine density of DPAP (Han et al. 2022, arXiv:2211.12714), in [0, 1], without spikes.

    The score is D = minmax(B) minmax(E), where minmax scales to [0, 1] over the layer. The trace E is the mean of a
    unit's activity c over all of training. B is the plasticity of its synapses by the rule of Bienenstock, Cooper and
    Munro: the mean of c (c - theta), where theta is the running mean of c.

    The publication is about spiking networks, where c is a decaying trace of spikes. Three things are our choice. c is
    `|activation|` here, at every sample and place. E and B are means since a unit's birth, where the publication's code
    has sums; minmax makes them the same. The presynaptic activity, by which that code multiplies each sample of B, is
    left out. In a layer whose units are all used alike, every score is 0.
    """

    watches: ClassVar[bool] = True

    def observe(self, moment: Moment, layer: str) -> None:
        activity = moment.activations(layer).abs()
        mean = activity.mean(0)
        held = self.state.setdefault(layer, {name: torch.zeros_like(mean) for name in ("seen", "trace", "plasticity")})
        # A plain mean over all updates that a unit has seen, each batch with the same weight.
        share = 1 / held["seen"].add_(1)
        held["trace"].lerp_(mean, share)
        # The mean of c (c - theta) is mean(c^2) - theta mean(c), where theta includes this batch.
        plasticity = activity.square_().mean(0).addcmul_(held["trace"], mean, value=-1)
        held["plasticity"].lerp_(plasticity, share)

    def __call__(self, moment: Moment, layer: str) -> Tensor:
        held = self.state.get(layer)
        if not held:
            return torch.zeros(moment.layer(layer).units)
        return _minmax(held["plasticity"]) * _minmax(held["trace"])


def _minmax(values: Tensor) -> Tensor:
    """Scale the values of a layer to [0, 1]; 0 where all are the same."""
    low, high = values.aminmax()
    return torch.where(high > low, (values - low) / (high - low), 0)
