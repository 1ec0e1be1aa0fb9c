"""Base classes of triggers that judge at the end of each period, which is an epoch or a number of updates."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field

from lifelong.errors import UsageError
from lifelong.plasticity.moment import Firing, Moment, MomentKind
from lifelong.plasticity.triggers.base import Reading, Trigger


@dataclass
class Periodic(Trigger):
    """Judges once in each period.

    Args:
        steps: the length of a period in updates, at least 1; by default a period is an epoch. A stream that tells no
            boundaries needs it. Where boundaries are told, updates are counted anew from the start of each experience.

    Raises:
        UsageError: if `steps` is below 1.
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
        """Tell whether a period ends at this moment."""
        if self.steps is None:
            return moment.kind is MomentKind.EPOCH
        return moment.kind is MomentKind.STEP and self._passed % self.steps == 0

    def _restart(self) -> None:
        """Forget what was seen of the former experience, because another one starts."""

    def _note(self, moment: Moment) -> None:
        """Take note of one update; it may be the last one of a period."""

    @abstractmethod
    def _judge(self, moment: Moment) -> Firing | None:
        """Return a firing if the rule acts at this end of a period, else None."""


@dataclass
class Measured(Periodic):
    """Judges the mean loss or accuracy of each period, on training batches, each before its update.

    An epoch's mean is over samples. The mean over a number of updates is over batches.
    """

    _sum: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.steps is None:
            self.reads = frozenset({self._reading})

    @property
    @abstractmethod
    def _reading(self) -> Reading:
        """Return which of the two is judged."""

    @abstractmethod
    def _seen(self, mean: float) -> Firing | None:
        """Return a firing if the rule acts, from the mean of the period that has just ended."""

    def _restart(self) -> None:
        self._sum = 0.0

    def _note(self, moment: Moment) -> None:
        # Epochs are averaged by the plug-in, which does not wait for each batch as reading its loss here would.
        if self.steps is not None:
            self._sum += getattr(moment, self._reading)

    def _judge(self, moment: Moment) -> Firing | None:
        if self.steps is None:
            return self._seen(moment.averages[self._reading])
        mean, self._sum = self._sum / self.steps, 0.0
        return self._seen(mean)
