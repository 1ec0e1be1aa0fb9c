"""Triggers that look at nothing but time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import torch

from lifelong.errors import UsageError
from lifelong.plasticity.moment import Firing, Moment, MomentKind
from lifelong.plasticity.triggers.base import Trigger


@dataclass
class TaskArrives(Trigger):
    """When an experience starts.

    Args:
        first: also the first one, before which the network is as it was made.
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
    """Every so many steps, epochs or experiences (at their ends); exactly one is given.

    Args:
        steps: updates.
        epochs: passes over an experience's data.
        experiences: of the stream.
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
    """After given updates, counted over the whole stream: what a user, or an oracle, knows in advance.

    Args:
        steps: numbers of updates, each at least 1.
    """

    steps: Iterable[int]

    def __post_init__(self) -> None:
        self.steps = frozenset(self.steps)
        if not self.steps or min(self.steps) < 1:
            raise UsageError("AtSteps takes numbers of updates, of which the first is 1, as AtSteps([100, 200])")

    def fires(self, moment: Moment) -> Firing | None:
        if moment.kind is not MomentKind.STEP or moment.step not in self.steps:
            return None
        return Firing(self.name, float(moment.step))


@dataclass
class Randomly(Trigger):
    """After an update with a given probability: the control of every trigger that looks at training.

    Args:
        probability: of firing after any one update, in (0, 1].
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


__all__ = ["AtSteps", "Every", "Randomly", "TaskArrives"]
