"""Triggers that notice, from the loss of each batch alone, that the stream has changed."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field
from math import isfinite, sqrt
from typing import Any

from lifelong.errors import UsageError
from lifelong.plasticity.moment import Firing, Moment, MomentKind
from lifelong.plasticity.triggers.base import Trigger


class _OfLoss(Trigger):
    """Sees the loss of each batch, before its update. A loss that is not finite is passed over."""

    def fires(self, moment: Moment) -> Firing | None:
        if moment.kind is not MomentKind.STEP or moment.loss is None or not isfinite(moment.loss):
            return None
        return self._seen(moment.loss)

    @abstractmethod
    def _seen(self, loss: float) -> Firing | None:
        """Whether the rule acts, by the loss of one batch."""


@dataclass
class Surprised(_OfLoss):
    """When several batches in a row have a loss far above its running mean: z = (L_b - mean) / deviation > threshold.

    The form and all numbers are our choice: Eriksson and Westlund Gotby (2019), whose surprise grows a network, compare
    the error itself with a constant. Only a rise is a surprise. Mean and deviation (the root of the mean squared
    difference; both exponentially weighted) learn from every batch but surprising ones: else the first would raise the
    deviation until the third is no surprise. When the trigger has fired, both are learnt anew, for the loss has another
    level now.

    Args:
        threshold: above 0, in deviations.
        batches: so many in a row.
        refractory: batches after a firing from which it only learns.
        memory: each batch weighs 1 / memory, at first 1 / (batches seen): a plain mean until then.
        warm_up: batches from which it only learns, before it judges any.
        least: the least deviation, in units of the loss: what differs by less than threshold * least is no surprise,
            though the loss may hardly vary where everything is known by heart.

    The value of a firing is the z of the last batch.
    """

    threshold: float = 3.0
    batches: int = 3
    refractory: int = 100
    memory: int = 50
    warm_up: int = 30
    least: float = 0.01
    _mean: float = field(default=0.0, init=False)
    _variance: float = field(default=0.0, init=False)
    _learnt: int = field(default=0, init=False)
    _row: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        _check_least(self, batches=1, refractory=0, memory=2, warm_up=2)
        _check_positive(self, "threshold", "least")
        self._judges_after = self.warm_up

    def _seen(self, loss: float) -> Firing | None:
        z = (loss - self._mean) / max(sqrt(self._variance), self.least)
        if self._learnt < self._judges_after or z <= self.threshold:
            self._row = 0
            self._learn(loss)
            return None
        self._row += 1
        if self._row < self.batches:
            return None
        self._row = self._learnt = 0
        self._judges_after = max(self.warm_up, self.refractory)
        return Firing(self.name, z)

    def _learn(self, loss: float) -> None:
        self._learnt += 1
        weight = 1 / min(self._learnt, self.memory)
        difference = loss - self._mean
        self._mean += weight * difference
        self._variance = (1 - weight) * (self._variance + weight * difference * difference)


@dataclass
class PageHinkley(_OfLoss):
    """When the losses' summed excess over their mean has risen by a threshold: the one-sided test of Page (1954), as
    `river` has it. Nothing of the sum is forgotten, and it begins anew after a firing.

    Args:
        threshold: the rise that counts (lambda), above 0, in units of the loss.
        delta: what is taken off each difference, at least 0: smaller rises of the mean are tolerated. `river` has .005
            and a threshold of 50; that 0.1 and 5 suit a cross-entropy is our choice.
        warm_up: batches before it judges any.

    The value of a firing is the loss of the last batch.
    """

    threshold: float = 5.0
    delta: float = 0.1
    warm_up: int = 30

    def __post_init__(self) -> None:
        _check_least(self, delta=0, warm_up=1)
        _check_positive(self, "threshold")
        from river import drift  # takes over a second

        self._detector: Any = drift.PageHinkley(
            min_instances=self.warm_up, delta=self.delta, threshold=self.threshold, alpha=1.0, mode="up"
        )

    def _seen(self, loss: float) -> Firing | None:
        self._detector.update(loss)
        return Firing(self.name, loss) if self._detector.drift_detected else None


@dataclass
class Adwin(_OfLoss):
    """When an older and a newer part of a window of losses differ in mean, and the newer is higher: ADWIN of Bifet and
    Gavalda (2007), as `river` has it.

    It looks after each batch, as in the paper. That a fall of the mean, which training brings about all the time, only
    shortens the window and is no surprise, is our choice.

    Args:
        delta: the significance of a difference, in (0, 1).
        warm_up: batches before it judges any.

    The value of a firing is the mean of what is left of the window.
    """

    delta: float = 0.002
    warm_up: int = 10

    def __post_init__(self) -> None:
        if not 0 < self.delta < 1:
            raise UsageError(f"Adwin: delta = {self.delta} is not in (0, 1); the default is 0.002")
        _check_least(self, warm_up=1)
        from river import drift  # takes over a second

        self._detector: Any = drift.ADWIN(delta=self.delta, clock=1, grace_period=self.warm_up)

    def _seen(self, loss: float) -> Firing | None:
        before = self._detector.estimation
        self._detector.update(loss)
        now = self._detector.estimation
        return Firing(self.name, now) if self._detector.drift_detected and now > before else None


def _check_least(trigger: Trigger, **least: float) -> None:
    for name, value in least.items():
        if getattr(trigger, name) < value:
            raise UsageError(f"{type(trigger).__name__}: {name} = {getattr(trigger, name)}; the least is {value}")


def _check_positive(trigger: Trigger, *names: str) -> None:
    for name in names:
        if getattr(trigger, name) <= 0:
            raise UsageError(f"{type(trigger).__name__}: {name} = {getattr(trigger, name)} is not above 0")


__all__ = ["Adwin", "PageHinkley", "Surprised"]
