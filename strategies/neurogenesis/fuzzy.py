"""A Mamdani fuzzy inference system that says how many neurons a layer needs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import skfuzzy

from lifelong.plasticity import Moment
from lifelong.plasticity.amounts import check_share

ACCURACY = {"low": (0.0, 0.0, 0.5), "medium": (0.0, 0.5, 1.0), "high": (0.5, 1.0, 1.0)}
DROP = {"none": (0.0, 0.0, 0.1), "small": (0.0, 0.1, 0.2), "large": (0.1, 0.2, 0.2)}
GROWTH = {"few": (0.0, 0.0, 0.5), "some": (0.0, 0.5, 1.0), "many": (0.5, 1.0, 1.0)}
"""Triangles (left foot, peak, right foot). A drop of accuracy beyond 0.2 counts as one of 0.2."""

RULES = {
    ("low", "none"): "some",
    ("low", "small"): "many",
    ("low", "large"): "many",
    ("medium", "none"): "few",
    ("medium", "small"): "some",
    ("medium", "large"): "many",
    ("high", "none"): "few",
    ("high", "small"): "few",
    ("high", "large"): "some",
}
"""The growth for each accuracy and its drop."""

_GRID = np.linspace(0, 1, 1001)


@dataclass(frozen=True)
class FuzzyShare:
    """Tells how many units a layer gets, by the accuracy and by how far it has dropped.

    Args:
        most: share of the units that the layer had at first that a growth of 1 stands for.
    """

    most: float

    def __post_init__(self) -> None:
        check_share("FuzzyShare", self.most)

    def __call__(self, moment: Moment, layer: str) -> int:
        """Return the number of units, at least 1."""
        assert moment.accuracy is not None
        assert moment.firing is not None
        growth = inferred_growth(moment.accuracy, -(moment.firing.value or 0.0))
        return max(1, round(growth * self.most * moment.memory.initial[layer]))


def inferred_growth(accuracy: float, drop: float) -> float:
    """Return the centroid of what the rules imply together, in [1/6, 5/6].

    Args:
        accuracy: accuracy in [0, 1].
        drop: how much lower the accuracy is than before, at least 0.
    """
    drop = min(drop, 0.2)
    implied = np.zeros_like(_GRID)
    for (level, change), growth in RULES.items():
        strength = min(_membership(ACCURACY[level], accuracy, 1.0), _membership(DROP[change], drop, 0.2))
        implied = np.maximum(implied, np.minimum(strength, skfuzzy.trimf(_GRID, GROWTH[growth])))
    return float(skfuzzy.defuzz(_GRID, implied, "centroid"))


def _membership(triangle: tuple[float, float, float], value: float, top: float) -> float:
    universe = top * _GRID
    return float(skfuzzy.interp_membership(universe, skfuzzy.trimf(universe, triangle), value))
