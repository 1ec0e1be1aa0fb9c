"""What says when a rule acts, and how such conditions are combined."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any, Literal

from lifelong.contracts import Need
from lifelong.errors import UsageError
from lifelong.plasticity.moment import Firing, Moment, MomentKind
from lifelong.plasticity.names import shown
from lifelong.structure import Change, Structure

Reading = Literal["loss", "accuracy"]


class Trigger(ABC):
    """When a rule acts.

    A trigger is asked at each moment, exactly once, and may keep count of what it saw. It belongs to one rule: a
    plug-in copies its rules.

    Attributes:
        needs: what of the stream it cannot do without; a task-free stream has no `task boundaries`.
        reads: what it wants to know at the end of an epoch; at a step both are always there.
        watches: whether it looks at activations.
    """

    needs: frozenset[Need] = frozenset()
    reads: frozenset[Reading] = frozenset()
    watches: bool = False

    @abstractmethod
    def fires(self, moment: Moment) -> Firing | None:
        """Whether the rule acts now."""

    def check(self, structure: Structure, layers: tuple[str, ...]) -> None:
        """Refuse, before any training, what cannot work on this network.

        Raises:
            UsageError: with the reason.
        """

    def carry(self, change: Change) -> None:
        """Follow a change of the network, where something is known of each unit."""

    def forget(self) -> None:
        """Another network has taken the known one's place: nothing is known of its units."""

    @property
    def name(self) -> str:
        """As records show it."""
        return shown(self)

    def __or__(self, other: Trigger) -> Trigger:
        """Fires when either does."""
        return Either(self, other)

    def __and__(self, other: Trigger) -> Trigger:
        """Fires when both do at the same moment."""
        return Both(self, other)

    def cooldown(
        self, *, steps: int | None = None, epochs: int | None = None, experiences: int | None = None
    ) -> Trigger:
        """Fires only if so much has passed since it last did; one of the three is given."""
        given = {MomentKind.STEP: steps, MomentKind.EPOCH: epochs, MomentKind.START: experiences}
        chosen = [(kind, count) for kind, count in given.items() if count is not None]
        if len(chosen) != 1:
            raise UsageError("a cooldown is given in steps, in epochs or in experiences")
        return Cooldown(self, *chosen[0])

    def at_most(self, times: int) -> Trigger:
        """Fires so often, then never again."""
        return AtMost(self, times)


@dataclass
class _Two(Trigger):
    first: Trigger
    second: Trigger

    def __post_init__(self) -> None:
        if not isinstance(self.second, Trigger):
            raise UsageError(f"a trigger is combined with another, such as TaskArrives(), not with {self.second!r}")
        self.needs = self.first.needs | self.second.needs
        self.reads = self.first.reads | self.second.reads
        self.watches = self.first.watches or self.second.watches

    def check(self, structure: Structure, layers: tuple[str, ...]) -> None:
        self.first.check(structure, layers)
        self.second.check(structure, layers)

    def carry(self, change: Change) -> None:
        self.first.carry(change)
        self.second.carry(change)

    def forget(self) -> None:
        self.first.forget()
        self.second.forget()

    def _both(self, moment: Moment) -> tuple[Firing | None, Firing | None]:
        """Both are asked at each moment, for both keep count."""
        return asked(self.first, moment), asked(self.second, moment)


class Either(_Two):
    """Fires when one of two triggers does, for the layers of either; what the first says comes first."""

    @property
    def name(self) -> str:
        return f"{self.first.name} | {self.second.name}"

    def fires(self, moment: Moment) -> Firing | None:
        first, second = self._both(moment)
        if first is None or second is None:
            return first or second
        if first.layers is None or second.layers is None:
            return first if first.layers is None else second
        return Firing(self.name, first.value, {**second.layers, **first.layers})


class Both(_Two):
    """Fires when two triggers do at the same moment, for the layers of both."""

    @property
    def name(self) -> str:
        return f"{self.first.name} & {self.second.name}"

    def fires(self, moment: Moment) -> Firing | None:
        first, second = self._both(moment)
        if first is None or second is None:
            return None
        value = second.value if first.value is None else first.value
        if first.layers is None or second.layers is None:
            return Firing(self.name, value, second.layers if first.layers is None else first.layers)
        layers = {name: seen for name, seen in first.layers.items() if name in second.layers}
        return Firing(self.name, value, layers) if layers else None


@dataclass
class _Wrapped(Trigger):
    inner: Trigger

    def __post_init__(self) -> None:
        self.needs, self.reads, self.watches = self.inner.needs, self.inner.reads, self.inner.watches

    def check(self, structure: Structure, layers: tuple[str, ...]) -> None:
        self.inner.check(structure, layers)

    def carry(self, change: Change) -> None:
        self.inner.carry(change)

    def forget(self) -> None:
        self.inner.forget()

    @property
    def name(self) -> str:
        return self.inner.name


@dataclass
class Cooldown(_Wrapped):
    """Lets a trigger fire only if so many moments of one kind have passed since it last did."""

    kind: MomentKind
    count: int
    _passed: int | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.count < 1:
            raise UsageError(f"a cooldown of {self.count}: the least is 1")
        if self.kind is not MomentKind.STEP:
            self.needs = self.needs | {"task boundaries"}

    def fires(self, moment: Moment) -> Firing | None:
        if moment.kind is self.kind and self._passed is not None:
            self._passed += 1
        firing = asked(self.inner, moment)
        if firing is None or (self._passed is not None and self._passed < self.count):
            return None
        self._passed = 0
        return firing


@dataclass
class AtMost(_Wrapped):
    """Lets a trigger fire so many times."""

    times: int
    _fired: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.times < 1:
            raise UsageError(f"at most {self.times} times: the least is 1")

    def fires(self, moment: Moment) -> Firing | None:
        firing = asked(self.inner, moment)
        if firing is None or self._fired >= self.times:
            return None
        self._fired += 1
        return firing


def asked(trigger: Trigger, moment: Moment) -> Firing | None:
    """What a trigger says now.

    Raises:
        UsageError: if that is neither a firing nor None.
    """
    firing: Any = trigger.fires(moment)
    if firing is not None and not isinstance(firing, Firing):
        kind = type(trigger).__name__
        raise UsageError(f"{kind}.fires returned {firing!r}: a trigger returns a Firing, as Firing(self.name), or None")
    return firing


__all__ = ["AtMost", "Both", "Cooldown", "Either", "Firing", "Reading", "Trigger", "asked"]
