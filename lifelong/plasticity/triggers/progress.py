"""Triggers that ask whether training still gets anywhere: convergence, stall, drop, and what is short of a goal."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import isfinite

from lifelong.errors import UsageError
from lifelong.plasticity.moment import Firing, Moment, MomentKind
from lifelong.plasticity.triggers.base import Reading
from lifelong.plasticity.triggers.periods import Measured


@dataclass
class Converged(Measured):
    """When the loss has stopped changing: |L_e - L_{e-1}| < delta, as in Eq. 1 of the dropin paper (Li et al. 2025,
    arXiv:2503.21419).

    The paper says neither how large delta is nor that L is smoothed; both are our choice, for the raw difference of two
    epochs fires on noise. L is an exponential mean over periods, which begins with the loss of the first. Where
    boundaries are told it begins anew with each experience, so that it takes two epochs of it at least.

    Args:
        delta: above 0.
        relative: to the smoothed loss, L_e; else in units of the loss.
        smoothing: in [0, 1), the weight of what came before; 0 is the raw loss.
        steps: see `Periodic`.

    The value of a firing is the absolute difference.
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
        if before is None or not isfinite(before):
            self._smoothed = mean
            return None
        self._smoothed = self.smoothing * before + (1 - self.smoothing) * mean
        difference = abs(self._smoothed - before)
        limit = self.delta * self._smoothed if self.relative else self.delta
        return Firing(self.name, difference) if difference < limit else None


@dataclass
class Stalled(Measured):
    """When for so many periods in a row nothing was gained on the best so far; it then waits as long again.

    The best is the lowest loss or the highest accuracy; where boundaries are told, of the same experience. That a gain
    has to exceed a least one, and how it is measured (on training batches), is our choice.

    Args:
        of: what should get better.
        gain: the least that counts, at least 0; in units of the loss, or of accuracy in [0, 1].
        patience: so many periods.
        steps: see `Periodic`.

    The value of a firing is the mean of the last period.
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
    """When accuracy is no higher than at the last evaluation: acc_t <= acc_{t-1} (Sowrirajan et al. 2024).

    An evaluation is the mean over a period of training batches, our choice, so that nothing of a test set is seen;
    where boundaries are told, the first of an experience is compared with none.

    Args:
        steps: see `Periodic`.

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
    """A condition for other triggers, as in `Converged() & ShortOf(accuracy=0.9)`: the goal has not been reached.

    It holds, or not, at every moment from the end of the first period on, by the mean of the last one. Where boundaries
    are told, the start of an experience is judged by the former one (did the network fail at it?), and then nothing is
    known until a period has ended. Accuracy below a goal is the criterion of CPG, loss above one that of DEN (.01).

    Args:
        accuracy: the goal, in (0, 1].
        loss: the goal instead, at least 0.
        steps: see `Periodic`.

    The value of a firing is the mean of the last period.

    Raises:
        UsageError: unless exactly one goal is given, in its range.
    """

    accuracy: float | None = None
    loss: float | None = None
    _known: float | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        if (self.accuracy is None) == (self.loss is None):
            raise UsageError("ShortOf takes a goal: an accuracy or a loss, as ShortOf(accuracy=0.9)")
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


__all__ = ["Converged", "Dropped", "ShortOf", "Stalled"]
