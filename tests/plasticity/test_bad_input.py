"""Misuse is refused, before training where possible; the message says what was given and what is accepted."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import nn

from lifelong import Setup, load_scenario, load_strategy, strategy
from lifelong.errors import UsageError
from lifelong.plasticity import (
    Below,
    Every,
    Firing,
    Grow,
    Lowest,
    Mark,
    Operator,
    Plasticity,
    Rate,
    Remove,
    Reset,
    Rule,
    Surprised,
    TaskArrives,
    Trigger,
    UnitScore,
    WeightNorm,
)
from lifelong.records.spec import Budget
from lifelong.structure import Copy, GradMax
from lifelong.training.dry_run import DryRun

WHEN, NORM = Every(steps=2), WeightNorm()


class Says(Trigger):
    def __init__(self, said):
        self.said = said

    def fires(self, _):
        return self.said


class Scores(UnitScore):
    said = None

    def __call__(self, *_):
        return self.said


class Acts(Operator):
    selects = None

    def apply(self, *_):
        return 5


@dataclasses.dataclass
class Mine(Trigger):
    share: float
    often: int | None = None

    def fires(self, _):
        return None


def scores(said):
    score = Scores()
    score.said = said
    return Lowest(score, count=1)


def network():
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.ReLU(), nn.Linear(8, 10))


def setup(**given):
    made = network()
    return Setup(made, torch.optim.SGD(made.parameters(), 0.1), Budget(epochs=1, batch_size=256), **given)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Grow("a lot"), "Grow: amount = 'a lot'; it is a count, a share such as 0.1, or a function"),
        (lambda: Grow(None), "Grow: amount = None"),
        (lambda: Grow(True), "Grow: amount = True"),
        (lambda: Grow(1, new="zero"), "Grow: new = 'zero' is no initialiser"),
        (lambda: Grow(1, new=Copy), r"Grow: new = Copy takes no batch: make one, Copy\(\)"),
        (lambda: Reset(new=3), "Reset: new = 3 is no initialiser"),
        (lambda: Rule(WHEN, Grow(1, cap=float("nan"))), "Grow: cap = nan is no number"),
        (lambda: Rule(WHEN, Remove(), Lowest(NORM, share="x")), "Lowest: share = 'x' is no number"),
        (lambda: Rule(WHEN, Remove(), Lowest(NORM, count=1.5)), "Lowest: count = 1.5 is no whole number"),
        (lambda: Rule(WHEN, Remove(), Below(NORM, float("nan"))), "Below: threshold = nan is no number"),
        (lambda: Rule(WHEN, Remove(), Rate(NORM, "x")), "Rate: rate = 'x' is no number"),
        (lambda: Rule(Every(steps=1.5), Grow(1)), "Every: steps = 1.5 is no whole number"),
        (lambda: Rule(WHEN | Surprised(threshold=float("nan")), Grow(1)), "Surprised: threshold = nan is no number"),
        (lambda: Rule(WHEN.cooldown(steps=1.5), Grow(1)), "Cooldown: count = 1.5 is no whole number"),
        (lambda: Rule(Mine("x"), Grow(1)), "Mine: share = 'x' is no number"),
        (lambda: Rule(Mine(0.1, 0.5), Grow(1)), "Mine: often = 0.5 is no whole number"),
        (lambda: Rule(WHEN, Grow(1), layers=3), r"`layers` is a list of names, such as \['1', '3'\], not 3"),
        (lambda: Rule(WHEN, Grow(1), layers=[3]), r"`layers` is a list of names"),
        (lambda: TaskArrives() | "x", "combined with another, such as TaskArrives(.*), not with 'x'"),
        (lambda: TaskArrives() & Grow(1), "combined with another"),
    ],
)
def test_what_no_part_takes(make, message):
    with pytest.raises(UsageError, match=message):
        make()


def test_numbers_of_any_kind_are_taken():
    Rule(Mine(1), Grow(1, new=GradMax, cap=2))
    Rule(Mine(torch.tensor(0.5).numpy()[()], torch.tensor(3).numpy()[()]), Mark())


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (
            Rule(Says(True), Mark()),
            r"Says.fires returned True: a trigger returns a Firing, such as Firing\(self.name\)",
        ),
        (Rule(Says(True) | WHEN, Mark()), "Says.fires returned True"),
        (Rule(Says(False).cooldown(steps=1), Mark()), "Says.fires returned False"),
        (Rule(Says("now").at_most(1), Mark()), "Says.fires returned 'now'"),
        (Rule(WHEN, Reset(), scores(torch.ones(3))), r"Scores says shape \(3,\) of '1'; .* tensor of shape \(8,\)"),
        (Rule(WHEN, Reset(), scores(1.0)), "Scores says 1.0 of '1'"),
        (Rule(Says(Firing("now")), Acts()), "Acts.apply returned 5: an operator returns an Outcome, or None"),
    ],
)
def test_a_part_of_ones_own_that_says_what_cannot_be_understood(rule, message):
    experience = load_scenario("digits-class", seed=0).train_stream[0]
    with pytest.raises(UsageError, match=message):
        setup().naive(Plasticity(rule)).train(experience)


def test_a_rule_that_is_in_no_plugin():
    with pytest.raises(UsageError, match=r"a rule is no plug-in: put it into one, such as Plasticity\(rule\)"):
        setup().naive(Rule(WHEN, Grow(1)))


@pytest.mark.parametrize(
    ("rule", "given", "message"),
    [
        (Rule(WHEN, Grow(1), layers=["9"]), {"inputs": (torch.zeros(1, 1, 8, 8),)}, "no layer '9'"),
        (Rule(TaskArrives(), Grow(1)), {"protocol": "task-free"}, "need task boundaries, which a task-free stream"),
    ],
)
def test_a_plugin_that_was_added_afterwards_is_looked_at_too(rule, given, message):
    @strategy()
    def added(setup: Setup):
        made = setup.naive()
        made.plugins.append(Plasticity(rule))
        return made

    with pytest.raises(UsageError, match=message):
        setup(**given).build(added, {})


@pytest.mark.parametrize("control", ["random-growth", "matched-final"])
@pytest.mark.parametrize(
    ("of", "message"), [("replay", "replay changes no structure"), ("random-growth", "random-growth has to know")]
)
def test_a_control_of_what_has_no_size_of_its_own_is_refused_before_training(control, of, message):
    made = setup(inputs=(torch.zeros(1, 1, 8, 8),), protocol="class")
    made.dry_run = DryRun(lambda name, parameters: setup().other(name, parameters), ())
    state = torch.get_rng_state()
    with pytest.raises(UsageError, match=message):
        made.other(control, {"of": of})
    assert torch.equal(state, torch.get_rng_state())


def test_an_injury_after_the_last_experience():
    with pytest.raises(UsageError, match="injure-and-translate: experience = 9, but there are 2"):
        setup(experiences=2).other("injure-and-translate", {"experience": 9})


def test_what_a_plain_script_is_refused_leaves_the_network_as_it_is():
    made = network()
    before = {name: value.clone() for name, value in made.state_dict().items()}
    learner = load_strategy("naive", made, torch.optim.SGD(made.parameters(), 0.1))
    learner.plugins.append(Plasticity(Rule(WHEN, Grow(1)), Rule(WHEN, Grow(1), layers=["3"])))
    with pytest.raises(UsageError, match="'3' are fixed: they are the network's outputs"):
        learner.train(load_scenario("digits-class", seed=0).train_stream[0])
    assert all(torch.equal(value, before[name]) for name, value in made.state_dict().items())
