"""Schedules: shares that change in the course of training.

A selection takes a schedule where it takes a share, as in `Lowest(Magnitude(), target=Cubic(0.8, steps=1000))`. A plain
number is the same share each time. Steps are updates, counted over the whole stream. To write a schedule of your own,
write a class with the attribute `reads` and the method `share` of `Schedule`; it needs no base class.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import cos, pi
from typing import Protocol

from lifelong.errors import UsageError
from lifelong.plasticity.moment import Moment
from lifelong.plasticity.triggers.base import Reading


class Schedule(Protocol):
    """Gives the share that a selection takes, where it changes in the course of training.

    Attributes:
        reads: which means over an epoch it reads, `loss` or `accuracy`; at a step both are always known.
    """

    reads: frozenset[Reading]

    def share(self, moment: Moment) -> float:
        """Return the share at this moment, in [0, 1]; called once at each firing."""


@dataclass
class Cubic:
    """Moves from one share to another, fast at first: s = final + (initial - final) (1 - (t - begin) / steps)^3.

    This is Eq. 1 of Zhu & Gupta (2018, arXiv:1710.01878). There s is the share of all weights that is pruned, which is
    a `target` of `Lowest`. The share is `initial` before these steps and `final` after them.

    Args:
        final: the last share, in (0, 1].
        steps: how many steps it takes, at least 1.
        begin: the step at which it begins, at least 0.
        initial: the first share, in [0, 1]; above `final` where the share falls, as that of living synapses does.

    Raises:
        UsageError: if an argument is out of range.

    >>> from types import SimpleNamespace as At  # in place of a moment
    >>> [round(Cubic(0.8, steps=100).share(At(step=step)), 3) for step in (0, 50, 100, 150)]
    [0.0, 0.7, 0.8, 0.8]
    """

    final: float
    steps: int
    begin: int = 0
    initial: float = 0.0
    reads = frozenset[Reading]()

    def __post_init__(self) -> None:
        check_share("Cubic", self.final, "final")
        _check_steps(self, "steps", 1)
        _check_steps(self, "begin", 0)
        if not 0 <= self.initial <= 1:
            raise UsageError(f"Cubic: initial = {self.initial} is not in [0, 1]; the default is 0")

    def share(self, moment: Moment) -> float:
        # Outside its steps the share stands still, so the time that has passed is kept in [0, 1].
        passed = min(max((moment.step - self.begin) / self.steps, 0.0), 1.0)
        return self.final + (self.initial - self.final) * (1 - passed) ** 3


@dataclass
class Cosine:
    """Falls from a share to zero: s = initial / 2 (1 + cos(pi t / steps)), and 0 after these steps.

    RigL drops this share of the living weights (Evci et al. 2020, arXiv:1911.11134); its authors begin with 0.3.

    Args:
        initial: the first share, in (0, 1].
        steps: how many steps it takes, at least 1.

    Raises:
        UsageError: if an argument is out of range.

    >>> from types import SimpleNamespace as At  # in place of a moment
    >>> [round(Cosine(0.3, steps=100).share(At(step=step)), 3) for step in (0, 50, 100, 150)]
    [0.3, 0.15, 0.0, 0.0]
    """

    initial: float
    steps: int
    reads = frozenset[Reading]()

    def __post_init__(self) -> None:
        check_share("Cosine", self.initial, "initial")
        _check_steps(self, "steps", 1)

    def share(self, moment: Moment) -> float:
        return self.initial / 2 * (1 + cos(pi * min(moment.step / self.steps, 1.0)))


@dataclass
class UntilDrop:
    """Gives the same share each time, until accuracy has fallen by more than a tolerance; from then on 0, for good.

    Accuracy is compared with the best one at any earlier firing; the form and the number are our choice. A new task
    lets accuracy fall as well. Where no accuracy is known yet, the share is given.

    Args:
        each: the share, in (0, 1].
        tolerance: how far accuracy may fall, in [0, 1).

    Raises:
        UsageError: if an argument is out of range.

    >>> from types import SimpleNamespace as At  # in place of a moment
    >>> schedule = UntilDrop(0.1, tolerance=0.02)
    >>> [schedule.share(At(accuracy=accuracy)) for accuracy in (0.8, 0.9, 0.89, 0.8, 0.95)]
    [0.1, 0.1, 0.1, 0.0, 0.0]
    """

    each: float
    tolerance: float = 0.02
    reads = frozenset[Reading]({"accuracy"})
    _best: float = field(default=0.0, init=False)
    _dropped: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        check_share("UntilDrop", self.each, "each")
        if not 0 <= self.tolerance < 1:
            raise UsageError(f"UntilDrop: tolerance = {self.tolerance} is not in [0, 1); the default is 0.02")

    def share(self, moment: Moment) -> float:
        if moment.accuracy is not None:
            # The present accuracy counts among the best ones first: a new best is no drop.
            self._best = max(self._best, moment.accuracy)
            # `|=`, because a drop is remembered even where accuracy recovers.
            self._dropped |= moment.accuracy < self._best - self.tolerance
        return 0.0 if self._dropped else self.each


def check_share(owner: str, share: object, name: str = "share") -> None:
    """Refuse a share outside (0, 1]; `check_numbers` refuses what is no number.

    Args:
        owner: the class that takes the share, for the message.
        share: what was given.
        name: the parameter, for the message.

    Raises:
        UsageError: if it is outside; the message names the nearest valid share.
    """
    if isinstance(share, int | float) and not 0 < share <= 1:
        raise UsageError(f"{owner}: {name} = {share} is not in (0, 1]; the nearest is {1.0 if share > 1 else 0.01}")


def _check_steps(schedule: Schedule, name: str, least: int) -> None:
    if getattr(schedule, name) < least:
        raise UsageError(f"{type(schedule).__name__}: {name} = {getattr(schedule, name)}; the least is {least}")
