"""Triggers that look at time alone."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import torch

from lifelong.errors import UsageError
from lifelong.plasticity.moment import Firing, Moment, MomentKind
from lifelong.plasticity.triggers.base import Trigger


@dataclass
class TaskArrives(Trigger):
    """Fires when an experience starts.

    Args:
        first: whether it fires at the start of the first experience too, when the network has learnt nothing yet.

    The value of a firing is the number of the experience, counted from 1.

    >>> from types import SimpleNamespace as At  # in place of a moment
    >>> trigger = TaskArrives()
    >>> [bool(trigger.fires(At(kind=MomentKind.START))) for _ in range(3)]
    [False, True, True]
    """

    first: bool = False
    needs = frozenset({"task boundaries"})
    _arrived: int = field(default=0, init=False)

    def fires(self, moment: Moment) -> Firing | None:
        if moment.kind is not MomentKind.START:
            return None
        self._arrived += 1
        return Firing(self.name, float(self._arrived)) if self.first or self._arrived > 1 else None


@dataclass
class Every(Trigger):
    """Fires after every so many steps, epochs or experiences; exactly one of the three is given.

    Args:
        steps: a number of updates, at least 1.
        epochs: a number of passes over an experience's data, at least 1.
        experiences: a number of experiences, at least 1; it fires at the end of an experience.

    The value of a firing is how many of them have passed.

    Raises:
        UsageError: if not exactly one is given, or it is below 1.

    >>> from types import SimpleNamespace as At  # in place of a moment
    >>> trigger = Every(steps=3)
    >>> [step for step in range(1, 10) if trigger.fires(At(kind=MomentKind.STEP, step=step))]
    [3, 6, 9]
    """

    steps: int | None = None
    epochs: int | None = None
    experiences: int | None = None
    _passed: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        given = {MomentKind.STEP: self.steps, MomentKind.EPOCH: self.epochs, MomentKind.END: self.experiences}
        chosen = [(kind, count) for kind, count in given.items() if count is not None]
        if len(chosen) != 1 or chosen[0][1] < 1:
            raise UsageError("Every takes steps, epochs or experiences: one of them, of at least 1")
        self._kind, self._count = chosen[0]
        if self._kind is not MomentKind.STEP:
            self.needs = frozenset({"task boundaries"})

    def fires(self, moment: Moment) -> Firing | None:
        if moment.kind is not self._kind:
            return None
        self._passed += 1
        return Firing(self.name, float(self._passed)) if self._passed % self._count == 0 else None


@dataclass
class AtSteps(Trigger):
    """Fires after given updates, which a user, or an oracle, knows in advance.

    Args:
        steps: the numbers of these updates, counted from 1 over the whole stream.

    The value of a firing is the number of the update.

    Raises:
        UsageError: if no step is given, or one is below 1.

    >>> from types import SimpleNamespace as At  # in place of a moment
    >>> trigger = AtSteps([2, 5])
    >>> [step for step in range(1, 10) if trigger.fires(At(kind=MomentKind.STEP, step=step))]
    [2, 5]
    """

    steps: Iterable[int]

    def __post_init__(self) -> None:
        self.steps = frozenset(self.steps)
        if not self.steps or min(self.steps) < 1:
            raise UsageError("AtSteps takes numbers of updates, of which the first is 1, such as AtSteps([100, 200])")

    def fires(self, moment: Moment) -> Firing | None:
        if moment.kind is not MomentKind.STEP or moment.step not in self.steps:
            return None
        return Firing(self.name, float(moment.step))


@dataclass
class Randomly(Trigger):
    """Fires after each update with a given probability: the control for every trigger that looks at training.

    Args:
        probability: the probability of a firing after one update, in (0, 1].

    Raises:
        UsageError: if the probability is out of range.
    """

    probability: float

    def __post_init__(self) -> None:
        if not 0 < self.probability <= 1:
            nearest = 1.0 if self.probability > 1 else 0.001
            raise UsageError(f"Randomly: probability = {self.probability} is not in (0, 1]; the nearest is {nearest}")

    def fires(self, moment: Moment) -> Firing | None:
        if moment.kind is not MomentKind.STEP:
            return None
        drawn = float(torch.rand((), generator=moment.generator))
        return Firing(self.name) if drawn < self.probability else None
