"""Truth tables of `|` and `&`; what cooldowns and `at_most` let through; each side sees each moment once."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from lifelong.errors import UsageError
from lifelong.plasticity.moment import MomentKind
from lifelong.plasticity.triggers import Converged, Dormant, Every, Firing, ShortOf, Surprised, TaskArrives, Trigger

NO, YES, ONE, TWO, BOTH = None, {}, {"a": 1.0}, {"b": 2.0}, {"a": 3.0, "b": 4.0}
"""NO has not fired, YES has fired for all layers, and the others have fired for some layers."""


@dataclass
class Scripted(Trigger):
    """Fires as a test tells it to, and counts how often it is asked and what it is told."""

    script: list
    value: float | None = None
    asked: int = 0
    told: list = field(default_factory=list)

    def fires(self, moment):
        del moment
        says = self.script[self.asked % len(self.script)]
        self.asked += 1
        return None if says is NO else Firing(self.name, self.value, says or None)

    def check(self, structure, layers):
        self.told.append(("check", structure, layers))

    def carry(self, change):
        self.told.append(("carry", change))

    def forget(self):
        self.told.append(("forget",))


def seen(firing):
    return NO if firing is None else firing.layers or YES


@pytest.mark.parametrize(
    ("first", "second", "either", "both"),
    [
        (NO, NO, NO, NO),
        (YES, NO, YES, NO),
        (NO, YES, YES, NO),
        (YES, YES, YES, YES),
        (ONE, NO, ONE, NO),
        (NO, ONE, ONE, NO),
        (ONE, YES, YES, ONE),
        (YES, ONE, YES, ONE),
        (ONE, TWO, {"a": 1.0, "b": 2.0}, NO),
        (ONE, BOTH, {"a": 1.0, "b": 4.0}, ONE),
        (BOTH, ONE, BOTH, {"a": 3.0}),
    ],
)
def test_truth_tables(at, first, second, either, both):
    assert seen((Scripted([first]) | Scripted([second])).fires(at())) == either
    assert seen((Scripted([first]) & Scripted([second])).fires(at())) == both


def test_what_a_combination_says(at):
    one, two = Scripted([YES], 1.0), Scripted([YES], 2.0)
    assert (one | two).fires(at()) == Firing("scripted", 1.0)
    assert (one & two).fires(at()) == Firing("scripted & scripted", 1.0)
    assert (Scripted([YES]) & two).fires(at()).value == 2.0
    assert (Every(steps=1) | Surprised()).name == "every | surprised"


@pytest.mark.parametrize(
    "combine",
    [
        lambda one, two: one | two,
        lambda one, two: one & two,
        lambda one, two: (one & two) | Every(steps=3),
        lambda one, two: one.at_most(1) | two.cooldown(steps=2),
        lambda one, two: one.at_most(1) & two.cooldown(epochs=2).at_most(1),
    ],
)
def test_every_side_sees_every_moment_once(at, combine):
    one, two = Scripted([YES, NO, NO, YES]), Scripted([NO, NO, YES, YES])
    trigger = combine(one, two)
    for number, kind in enumerate(
        [MomentKind.START, MomentKind.STEP, MomentKind.STEP, MomentKind.EPOCH, MomentKind.END] * 4, start=1
    ):
        trigger.fires(at(kind))
        assert one.asked == two.asked == number


def test_what_is_told_reaches_every_side():
    one, two = Scripted([NO]), Scripted([NO])
    trigger = (one.cooldown(steps=3) | two.at_most(2)) & Every(steps=1)
    trigger.check("structure", ("layer",))
    trigger.carry("change")
    trigger.forget()
    assert one.told == two.told == [("check", "structure", ("layer",)), ("carry", "change"), ("forget",)]


def test_needs_of_the_parts_are_those_of_the_whole():
    trigger = (Converged() & ShortOf(accuracy=0.9)).cooldown(steps=10) | Dormant(steps=5)
    assert trigger.needs == {"task boundaries"}
    assert trigger.reads == {"loss", "accuracy"}
    assert trigger.watches
    free = Surprised() | Every(steps=5)
    assert (free.needs, free.reads, free.watches) == (frozenset(), frozenset(), False)
    assert free.cooldown(steps=5).needs == frozenset()
    assert free.cooldown(experiences=1).needs == free.cooldown(epochs=1).needs == {"task boundaries"}


def firing_steps(trigger, moments):
    return [number for number, moment in enumerate(moments) if trigger.fires(moment) is not None]


def test_cooldown_in_steps(at):
    always = Scripted([YES]).cooldown(steps=3)
    assert firing_steps(always, [at()] * 10) == [0, 3, 6, 9]
    late = Scripted([NO, NO, YES, YES, YES, NO, NO, YES, YES]).cooldown(steps=4)
    assert firing_steps(late, [at()] * 9) == [2, 7]


def test_cooldown_in_epochs_and_experiences(at):
    epoch = [at(), at(), at(MomentKind.EPOCH)]
    assert firing_steps(Scripted([YES]).cooldown(epochs=2), epoch * 5) == [0, 5, 11]
    experience = [at(MomentKind.START), *epoch, at(MomentKind.END)]
    assert firing_steps(Scripted([YES]).cooldown(experiences=2), experience * 5) == [0, 10, 20]


def test_a_firing_that_a_cooldown_holds_back_does_not_prolong_it(at):
    assert firing_steps(Scripted([YES, YES, YES, NO, YES]).cooldown(steps=4), [at()] * 5) == [0, 4]


def test_at_most(at):
    assert firing_steps(Scripted([NO, YES, YES]).at_most(3), [at()] * 12) == [1, 2, 4]


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: TaskArrives().cooldown(),
        lambda: TaskArrives().cooldown(steps=1, epochs=1),
        lambda: TaskArrives().cooldown(steps=0),
        lambda: TaskArrives().at_most(0),
    ],
)
def test_out_of_range(wrong):
    with pytest.raises(UsageError):
        wrong()
