"""Triggers that look at the progress of training: it has converged, stalled, got worse, or not reached its goal."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import isfinite

from lifelong.errors import UsageError
from lifelong.plasticity.moment import Firing, Moment, MomentKind
from lifelong.plasticity.triggers.base import Reading
from lifelong.plasticity.triggers.periods import Measured


@dataclass
class Converged(Measured):
    """Fires when the loss has stopped changing: `|L_e - L_{e-1}| < delta`.

    This is Eq. 1 of dropin (Li et al. 2025, arXiv:2503.21419). The paper does not say how large delta is, and does not
    smooth L. Both are our choice, because the raw difference of two epochs fires on noise. L is an exponential mean
    over periods that begins with the loss of the first one. Where boundaries are told, it begins anew with each
    experience, so that it fires after two epochs at the earliest.

    Args:
        delta: the least change that counts, above 0.
        relative: whether delta is a share of the smoothed loss L_e; else it is in units of the loss.
        smoothing: the weight of earlier periods, in [0, 1); 0 takes the raw loss.
        steps: the length of a period, see `Periodic`.

    The value of a firing is the absolute difference.

    Raises:
        UsageError: if an argument is out of range.

    >>> from types import SimpleNamespace as At  # in place of a moment
    >>> trigger = Converged(delta=0.1, smoothing=0, steps=1)
    >>> [bool(trigger.fires(At(kind=MomentKind.STEP, loss=loss))) for loss in (2.0, 1.0, 0.5, 0.49)]
    [False, False, False, True]
    """

    delta: float = 1e-3
    relative: bool = True
    smoothing: float = 0.5
    _smoothed: float | None = field(default=None, init=False)
    _reading: Reading = field(default="loss", init=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.delta <= 0:
            raise UsageError(f"Converged: delta = {self.delta} is not above 0; the default is 0.001")
        if not 0 <= self.smoothing < 1:
            raise UsageError(f"Converged: smoothing = {self.smoothing} is not in [0, 1); 0 is the raw loss")

    def _restart(self) -> None:
        super()._restart()
        self._smoothed = None

    def _seen(self, mean: float) -> Firing | None:
        before = self._smoothed
        # After a loss that was not finite the mean begins anew; else no later loss could ever converge.
        if before is None or not isfinite(before):
            self._smoothed = mean
            return None
        self._smoothed = self.smoothing * before + (1 - self.smoothing) * mean
        difference = abs(self._smoothed - before)
        limit = self.delta * self._smoothed if self.relative else self.delta
        return Firing(self.name, difference) if difference < limit else None


@dataclass
class Stalled(Measured):
    """Fires when the best mean so far has not improved for several periods in a row; it then waits as long again.

    The best is the lowest loss or the highest accuracy; where boundaries are told, within the present experience. Our
    choice is that an improvement has to exceed a least gain, and that it is measured on training batches.

    Args:
        of: what should improve, `loss` or `accuracy`.
        gain: only more than this counts as an improvement; at least 0, in units of the loss, or of accuracy in [0, 1].
        patience: after how many periods it fires, at least 1.
        steps: the length of a period, see `Periodic`.

    The value of a firing is the mean of the last period.

    Raises:
        UsageError: if an argument is out of range.
    """

    of: Reading = "loss"
    gain: float = 1e-3
    patience: int = 3
    _best: float | None = field(default=None, init=False)
    _waited: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        if self.of not in ("loss", "accuracy"):
            raise UsageError(f"Stalled: of = {self.of!r}; it is 'loss' or 'accuracy'")
        if self.gain < 0:
            raise UsageError(f"Stalled: gain = {self.gain}; the least is 0")
        if self.patience < 1:
            raise UsageError(f"Stalled: patience = {self.patience}; the least is 1")
        super().__post_init__()

    @property
    def _reading(self) -> Reading:
        return self.of

    def _restart(self) -> None:
        super()._restart()
        self._best, self._waited = None, 0

    def _seen(self, mean: float) -> Firing | None:
        # Whichever is judged, higher is better from here on.
        goodness = mean if self.of == "accuracy" else -mean
        if self._best is None or goodness - self._best > self.gain:
            self._best, self._waited = goodness, 0
            return None
        self._waited += 1
        if self._waited < self.patience:
            return None
        self._waited = 0
        return Firing(self.name, mean)


@dataclass
class Dropped(Measured):
    """Fires when accuracy is no higher than at the last evaluation: acc_t <= acc_{t-1} (Sowrirajan et al. 2024).

    An evaluation is the mean over a period of training batches. That is our choice, so that no test set is seen. Where
    boundaries are told, the first evaluation in an experience is compared with none.

    Args:
        steps: the length of a period, see `Periodic`.

    The value of a firing is the change, at most 0.
    """

    _before: float | None = field(default=None, init=False)
    _reading: Reading = field(default="accuracy", init=False)

    def _restart(self) -> None:
        super()._restart()
        self._before = None

    def _seen(self, mean: float) -> Firing | None:
        before, self._before = self._before, mean
        return Firing(self.name, mean - before) if before is not None and mean <= before else None


@dataclass
class ShortOf(Measured):
    """Fires at every moment while a goal has not been reached.

    Use it as a condition for another trigger, as in `Converged() & ShortOf(accuracy=0.9)`. It compares the goal with
    the mean of the last period, from the end of the first period on. Where boundaries are told, the start of an
    experience is judged by the former experience (did the network fail at it?); after that, nothing is known until a
    period has ended. Accuracy below a goal is the criterion of CPG, a loss above .01 that of DEN.

    Args:
        accuracy: the goal, in (0, 1].
        loss: the goal instead of an accuracy, at least 0.
        steps: the length of a period, see `Periodic`.

    The value of a firing is the mean of the last period.

    Raises:
        UsageError: unless exactly one goal is given, in its range.
    """

    accuracy: float | None = None
    loss: float | None = None
    _known: float | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        if (self.accuracy is None) == (self.loss is None):
            raise UsageError("ShortOf takes a goal: an accuracy or a loss, such as ShortOf(accuracy=0.9)")
        if self.accuracy is not None and not 0 < self.accuracy <= 1:
            nearest = 1.0 if self.accuracy > 1 else 0.01
            raise UsageError(f"ShortOf: accuracy = {self.accuracy} is not in (0, 1]; the nearest is {nearest}")
        if self.loss is not None and self.loss < 0:
            raise UsageError(f"ShortOf: loss = {self.loss}; the least is 0")
        super().__post_init__()

    @property
    def _reading(self) -> Reading:
        return "loss" if self.accuracy is None else "accuracy"

    def fires(self, moment: Moment) -> Firing | None:
        # Kept, because the start of an experience resets it and is still to be judged by it.
        former = self._known
        super().fires(moment)
        known = former if moment.kind is MomentKind.START else self._known
        return Firing(self.name, known) if known is not None and self._is_short(known) else None

    def _restart(self) -> None:
        super()._restart()
        self._known = None

    def _seen(self, mean: float) -> None:
        self._known = mean

    def _is_short(self, known: float) -> bool:
        if self.accuracy is not None:
            return known < self.accuracy
        return self.loss is not None and known > self.loss
