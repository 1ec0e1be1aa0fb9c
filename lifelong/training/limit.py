"""Budgets that are not counted in epochs: an Avalanche plug-in ends the training on an experience."""

from __future__ import annotations

from typing import Any

from avalanche.core import SupervisedPlugin

from lifelong.records.spec import Budget
from lifelong.training.meter import Meter, meter_of

ENDLESS = 2**31
"""A number of epochs that no training reaches."""


class Limit(SupervisedPlugin):
    """Lets a strategy train on an experience until the budget is spent. Put it after the other plug-ins.

    A strategy that trains once, on several experiences, may spend the budget of them all.

    Args:
        budget: a budget in iterations or in training MACs (multiply-accumulates), for each experience.
    """

    def __init__(self, budget: Budget) -> None:
        super().__init__()
        self.budget = budget
        self._end = 0

    def before_training_exp(self, strategy: Any, **_: object) -> None:
        together = len(getattr(strategy, "_experiences", ())) or 1  # joint training keeps its experiences there
        meter = meter_of(strategy)
        self._end = self._spent(meter) + together * (self.budget.iterations or self.budget.training_macs or 0)
        strategy.train_epochs = ENDLESS
        strategy._stop_training = False

    def after_training_iteration(self, strategy: Any, **_: object) -> None:
        if self._spent(meter_of(strategy)) >= self._end:
            strategy.stop_training()

    def _spent(self, meter: Meter) -> int:
        return meter.steps if self.budget.iterations else meter.training_macs
