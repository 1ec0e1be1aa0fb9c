"""The base class of triggers, and the triggers that combine or hold back others."""

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
    """Says when a rule acts.

    A trigger is asked exactly once at each moment, so that it can keep count. It belongs to one rule; a plug-in copies
    its rules, and their triggers with them.

    Attributes:
        needs: what the stream has to give, because the trigger cannot do without it; a task-free stream has no
            `task boundaries`.
        reads: which means over an epoch it reads, `loss` or `accuracy`; at a step both are always known.
        watches: whether it reads activations.
    """

    needs: frozenset[Need] = frozenset()
    reads: frozenset[Reading] = frozenset()
    watches: bool = False

    @abstractmethod
    def fires(self, moment: Moment) -> Firing | None:
        """Return a firing if the rule acts now, else None."""

    def check(self, structure: Structure, layers: tuple[str, ...]) -> None:
        """Refuse, before any training, a network on which the trigger cannot work.

        Args:
            structure: the structure of the network.
            layers: names of the layers that the rule is about.

        Raises:
            UsageError: if it cannot work; the message gives the reason.
        """

    def carry(self, change: Change) -> None:
        """Let what is known of each unit follow a change of the network."""

    def forget(self) -> None:
        """Forget what is known of units, because another network has taken the place of the known one."""

    @property
    def name(self) -> str:
        """Return the name that records show, such as `task-arrives`."""
        return shown(self)

    def __or__(self, other: Trigger) -> Trigger:
        """Return a trigger that fires when at least one of the two fires."""
        return Either(self, other)

    def __and__(self, other: Trigger) -> Trigger:
        """Return a trigger that fires when both fire at the same moment."""
        return Both(self, other)

    def cooldown(
        self, *, steps: int | None = None, epochs: int | None = None, experiences: int | None = None
    ) -> Trigger:
        """Return a trigger that, after each firing, waits until the given time has passed. Exactly one time is given.

        Args:
            steps: how many updates have to pass.
            epochs: how many ends of epochs have to pass.
            experiences: how many starts of experiences have to pass.

        Raises:
            UsageError: if not exactly one is given, or it is below 1.

        >>> from types import SimpleNamespace as At  # in place of a moment
        >>> from lifelong.plasticity import Every
        >>> trigger = Every(steps=1).cooldown(steps=3)
        >>> [step for step in range(1, 9) if trigger.fires(At(kind=MomentKind.STEP, step=step))]
        [1, 4, 7]
        """
        given = {MomentKind.STEP: steps, MomentKind.EPOCH: epochs, MomentKind.START: experiences}
        chosen = [(kind, count) for kind, count in given.items() if count is not None]
        if len(chosen) != 1:
            raise UsageError("a cooldown is given in steps, in epochs or in experiences")
        return Cooldown(self, *chosen[0])

    def at_most(self, times: int) -> Trigger:
        """Return a trigger that fires at most this many times, at least 1."""
        return AtMost(self, times)


@dataclass
class _Two(Trigger):
    """Combines two triggers."""

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
        """Ask both, whatever the first one says, because both keep count."""
        return asked(self.first, moment), asked(self.second, moment)


class Either(_Two):
    """Fires when at least one of two triggers fires, for the layers of either.

    Where both fire for a layer, the value of the first one counts.
    """

    @property
    def name(self) -> str:
        return f"{self.first.name} | {self.second.name}"

    def fires(self, moment: Moment) -> Firing | None:
        first, second = self._both(moment)
        if first is None or second is None:
            return first or second
        # A firing without layers is for all of them, so it includes those of the other one.
        if first.layers is None or second.layers is None:
            return first if first.layers is None else second
        return Firing(self.name, first.value, {**second.layers, **first.layers})


class Both(_Two):
    """Fires when two triggers fire at the same moment, for the layers for which both fire."""

    @property
    def name(self) -> str:
        return f"{self.first.name} & {self.second.name}"

    def fires(self, moment: Moment) -> Firing | None:
        first, second = self._both(moment)
        if first is None or second is None:
            return None
        value = second.value if first.value is None else first.value
        if first.layers is None or second.layers is None:
            # One of them is for all layers, so the other one says which.
            return Firing(self.name, value, second.layers if first.layers is None else first.layers)
        layers = {name: seen for name, seen in first.layers.items() if name in second.layers}
        return Firing(self.name, value, layers) if layers else None


@dataclass
class _Wrapped(Trigger):
    """Holds back another trigger; it needs, reads and watches what that one does, and has its name."""

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
    """Lets a trigger fire only if enough moments of one kind have passed since it last fired.

    Args:
        inner: the trigger.
        kind: the kind of moment that is counted.
        count: how many have to pass, at least 1.

    Raises:
        UsageError: if the count is below 1.
    """

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
        # The inner trigger is asked during the cooldown too, because it keeps count.
        firing = asked(self.inner, moment)
        if firing is None or (self._passed is not None and self._passed < self.count):
            return None
        self._passed = 0
        return firing


@dataclass
class AtMost(_Wrapped):
    """Lets a trigger fire a number of times, then never again.

    Args:
        inner: the trigger.
        times: how many times, at least 1.

    Raises:
        UsageError: if that is below 1.
    """

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
    """Ask a trigger whether it fires at this moment.

    Raises:
        UsageError: if it returns neither a `Firing` nor None.
    """
    firing: Any = trigger.fires(moment)
    if firing is not None and not isinstance(firing, Firing):
        kind = type(trigger).__name__
        raise UsageError(
            f"{kind}.fires returned {firing!r}: a trigger returns a Firing, such as Firing(self.name), or None"
        )
    return firing
