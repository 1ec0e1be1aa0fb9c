"""Scores that read the present weights alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from lifelong.errors import unknown
from lifelong.plasticity.moment import Moment
from lifelong.plasticity.scores.base import SynapseScore, UnitScore
from lifelong.plasticity.weights import norm_by_unit
from lifelong.structure import Role

_SIDES = {"in": (Role.FAN_IN,), "out": (Role.FAN_OUT,), "both": (Role.FAN_IN, Role.FAN_OUT)}


@dataclass
class WeightNorm(UnitScore):
    """Scores a unit by the Euclidean norm of its weights. Biases do not count.

    Args:
        side: which weights count: its fan-in (`in`), its fan-out (`out`), or `both` together.

    Raises:
        UsageError: if there is no such side.
    """

    side: Literal["in", "out", "both"] = "in"

    def __post_init__(self) -> None:
        if self.side not in _SIDES:
            raise unknown("side", self.side, _SIDES)

    def __call__(self, moment: Moment, layer: str) -> Tensor:
        return _norm(moment, layer, self.side)


@dataclass
class MutualFreezing(UnitScore):
    """Scores a unit by how far it is from mutual freezing (Zilly et al. 2021); at least 0.

    If fan-in and fan-out are both near zero, they block each other's gradients, because the gradient of each is
    proportional to the other. The score is the larger of the two Euclidean norms, each divided by its median over the
    layer. So `Below(MutualFreezing(), 0.1)` selects units for which both are at most a tenth of the median. The
    criterion is our choice, because we do not know the paper's threshold. New units without a fan-out are not frozen,
    because their fan-in is not small.

    Where a layer's median is zero, a norm of zero counts as 0 and any other as infinite.
    """

    def __call__(self, moment: Moment, layer: str) -> Tensor:
        return torch.maximum(*(_over_median(_norm(moment, layer, side)) for side in ("in", "out")))


@dataclass
class Magnitude(SynapseScore):
    """Scores a synapse by its absolute weight."""

    def __call__(self, moment: Moment, weight: str) -> Tensor:
        return moment.structure.network.get_parameter(weight).detach().abs()


def _norm(moment: Moment, layer: str, side: str) -> Tensor:
    return norm_by_unit(moment.structure.network, moment.layer(layer), *_SIDES[side])


def _over_median(norm: Tensor) -> Tensor:
    # `where`, because 0 / 0 would be NaN.
    return torch.where(norm == 0, 0, norm / norm.quantile(0.5))
