"""Scores that are drawn at random: the control for every other score."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lifelong.plasticity.moment import Moment
from lifelong.plasticity.scores.base import SynapseScore, UnitScore


@dataclass
class Random(UnitScore):
    """Scores each unit by a number in [0, 1) that is drawn anew each time, from the rules' own generator."""

    def __call__(self, moment: Moment, layer: str) -> Tensor:
        return torch.rand(moment.layer(layer).units, generator=moment.generator)


@dataclass
class SynapseRandom(SynapseScore):
    """Scores each synapse by a number in [0, 1) that is drawn anew each time, from the rules' own generator."""

    def __call__(self, moment: Moment, weight: str) -> Tensor:
        parameter = moment.structure.network.get_parameter(weight)
        return torch.rand(parameter.shape, generator=moment.generator).to(parameter.device)
