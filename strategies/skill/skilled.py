"""The moment at which a task counts as learnt."""

from __future__ import annotations

from dataclasses import dataclass, field

from lifelong.plasticity import Firing
from lifelong.plasticity.triggers.base import Reading
from lifelong.plasticity.triggers.periods import Measured


@dataclass
class Skilled(Measured):
    """Fires when accuracy has reached a goal.

    Args:
        goal: an accuracy in [0, 1].
        steps: updates over which the accuracy is averaged; None for whole epochs.
    """

    goal: float
    _reading: Reading = field(default="accuracy", init=False)

    def _seen(self, mean: float) -> Firing | None:
        return Firing(self.name, mean) if mean >= self.goal else None
