"""Triggers that judge at the end of each period: of an epoch, or of so many updates."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field

from lifelong.errors import UsageError
from lifelong.plasticity.moment import Firing, Moment, MomentKind
from lifelong.plasticity.triggers.base import Reading, Trigger


@dataclass
class Periodic(Trigger):
    """Judges once a period.

    Args:
        steps: a period is so many updates, as a stream without boundaries needs it; by default it is an epoch. Where
            boundaries are told, updates are counted anew from the start of each experience.
    """

    steps: int | None = field(default=None, kw_only=True)
    _passed: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        if self.steps is None:
            self.needs = frozenset({"task boundaries"})
        elif self.steps < 1:
            raise UsageError(f"{type(self).__name__}: steps = {self.steps}; the least is 1")

    def fires(self, moment: Moment) -> Firing | None:
        if moment.kind is MomentKind.START:
            self._passed = 0
            self._restart()
        elif moment.kind is MomentKind.STEP:
            self._passed += 1
            self._note(moment)
        return self._judge(moment) if self._ends(moment) else None

    def _ends(self, moment: Moment) -> bool:
        if self.steps is None:
            return moment.kind is MomentKind.EPOCH
        return moment.kind is MomentKind.STEP and self._passed % self.steps == 0

    def _restart(self) -> None:
        """An experience starts: what is known of the former one is no measure of it."""

    def _note(self, moment: Moment) -> None:
        """Take note of one update."""

    @abstractmethod
    def _judge(self, moment: Moment) -> Firing | None:
        """Whether the rule acts, at the end of a period."""


@dataclass
class Measured(Periodic):
    """Judges the mean loss or accuracy of a period: on training batches, each before its update."""

    _sum: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.steps is None:
            self.reads = frozenset({self._reading})

    @property
    @abstractmethod
    def _reading(self) -> Reading:
        """What is judged."""

    @abstractmethod
    def _seen(self, mean: float) -> Firing | None:
        """Whether the rule acts, by the mean of the period that has just ended."""

    def _restart(self) -> None:
        self._sum = 0.0

    def _note(self, moment: Moment) -> None:
        if self.steps is not None:
            self._sum += getattr(moment, self._reading)

    def _judge(self, moment: Moment) -> Firing | None:
        if self.steps is None:
            return self._seen(moment.averages[self._reading])
        mean, self._sum = self._sum / self.steps, 0.0
        return self._seen(mean)


__all__ = ["Measured", "Periodic"]
