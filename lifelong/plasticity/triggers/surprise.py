"""Triggers that notice from the loss of each batch alone that the stream has changed."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field
from math import isfinite, sqrt
from typing import Any

from lifelong.errors import UsageError
from lifelong.plasticity.moment import Firing, Moment, MomentKind
from lifelong.plasticity.triggers.base import Trigger


class _OfLoss(Trigger):
    """Judges the loss of each batch, before its update. A loss that is not finite is left out."""

    def fires(self, moment: Moment) -> Firing | None:
        if moment.kind is not MomentKind.STEP or moment.loss is None or not isfinite(moment.loss):
            return None
        return self._seen(moment.loss)

    @abstractmethod
    def _seen(self, loss: float) -> Firing | None:
        """Return a firing if the rule acts, from the loss of one batch."""


@dataclass
class Surprised(_OfLoss):
    """Fires when several batches in a row have a loss far above its mean: z = (L_b - mean) / deviation > threshold.

    The form and all numbers are our choice: Eriksson and Westlund Gotby (2019), who grow a network by surprise, compare
    the error itself with a constant. Only a rise is a surprise. The deviation is the root of the mean squared
    difference; it and the mean are exponentially weighted. Both learn from all batches that are no surprise: else the
    first surprise would raise the deviation until the third is none. After a firing both are learnt anew, because the
    loss has another level then.

    Args:
        threshold: how far above the mean a surprise lies, in deviations; above 0.
        batches: how many surprises in a row it takes, at least 1.
        refractory: for how many batches after a firing it only learns, at least 0; `warm_up` where that is more.
        memory: each batch weighs 1 / memory, and 1 / (batches seen) until there are so many; at least 2.
        warm_up: for how many batches it only learns at first, at least 2.
        least: the deviation counts as at least this, in units of the loss, above 0. So a difference below threshold x
            least is no surprise, even where the loss hardly varies because everything has been learnt.

    The value of a firing is the z of the last batch.

    Raises:
        UsageError: if an argument is out of range.

    >>> from types import SimpleNamespace as At  # in place of a moment
    >>> trigger = Surprised(batches=2)
    >>> losses = [1.0] * 40 + [3.0] * 4
    >>> [batch for batch, loss in enumerate(losses) if trigger.fires(At(kind=MomentKind.STEP, loss=loss))]
    [41]
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
            # No surprise, or still learning: it ends a row of surprises and is learnt from.
            self._row = 0
            self._learn(loss)
            return None
        self._row += 1
        if self._row < self.batches:
            return None
        # With a count of 0, the next loss has the weight 1: what was learnt of the former level is forgotten at once.
        self._row = self._learnt = 0
        self._judges_after = max(self.warm_up, self.refractory)
        return Firing(self.name, z)

    def _learn(self, loss: float) -> None:
        """Let the running mean and variance take note of a loss."""
        self._learnt += 1
        weight = 1 / min(self._learnt, self.memory)
        difference = loss - self._mean
        self._mean += weight * difference
        # The incremental form of an exponentially weighted variance; the difference is from the mean before this loss.
        self._variance = (1 - weight) * (self._variance + weight * difference * difference)


@dataclass
class PageHinkley(_OfLoss):
    """Fires when the sum of (loss - mean loss - delta) has risen by a threshold above its lowest value.

    This is the one-sided test of Page (1954), in the code of `river`. The sum forgets nothing, and begins anew after a
    firing.

    Args:
        threshold: the rise that counts (lambda), above 0, in units of the loss.
        delta: what is taken off each difference, at least 0, in units of the loss; smaller rises of the mean are
            tolerated. `river` takes .005 and a threshold of 50; 0.1 and 5 are our choice for a cross-entropy.
        warm_up: how many batches it sees before it judges any, at least 1.

    The value of a firing is the loss of the last batch.

    Raises:
        UsageError: if an argument is out of range.

    >>> from types import SimpleNamespace as At  # in place of a moment
    >>> trigger = PageHinkley(threshold=5.0)
    >>> losses = [1.0] * 40 + [3.0] * 4
    >>> [batch for batch, loss in enumerate(losses) if trigger.fires(At(kind=MomentKind.STEP, loss=loss))]
    [42]
    """

    threshold: float = 5.0
    delta: float = 0.1
    warm_up: int = 30

    def __post_init__(self) -> None:
        _check_least(self, delta=0, warm_up=1)
        _check_positive(self, "threshold")
        from river import drift  # here, because importing it takes over a second

        self._detector: Any = drift.PageHinkley(
            min_instances=self.warm_up, delta=self.delta, threshold=self.threshold, alpha=1.0, mode="up"
        )

    def _seen(self, loss: float) -> Firing | None:
        self._detector.update(loss)
        return Firing(self.name, loss) if self._detector.drift_detected else None


@dataclass
class Adwin(_OfLoss):
    """Fires when a newer part of a window of losses has a higher mean than the older part.

    This is ADWIN of Bifet and Gavalda (2007), in the code of `river`. It looks after each batch, as in the paper. A
    fall of the mean, which training brings about all the time, only shortens the window and is no surprise; that is our
    choice.

    Args:
        delta: the significance of a difference, in (0, 1).
        warm_up: how many batches it sees before it judges any, at least 1.

    The value of a firing is the mean of the losses that are left in the window.

    Raises:
        UsageError: if an argument is out of range.
    """

    delta: float = 0.002
    warm_up: int = 10

    def __post_init__(self) -> None:
        if not 0 < self.delta < 1:
            raise UsageError(f"Adwin: delta = {self.delta} is not in (0, 1); the default is 0.002")
        _check_least(self, warm_up=1)
        from river import drift  # here, because importing it takes over a second

        self._detector: Any = drift.ADWIN(delta=self.delta, clock=1, grace_period=self.warm_up)

    def _seen(self, loss: float) -> Firing | None:
        # ADWIN is two-sided: which way the mean went shows only when it is compared with the one before.
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
