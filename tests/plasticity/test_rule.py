"""Rules that cannot work are refused before training, with the reason; other rules are about the right layers."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.functional import relu

from lifelong import Setup
from lifelong.errors import UsageError
from lifelong.plasticity import Plasticity
from lifelong.plasticity.operators import Freeze, Grow, Mark, Merge, PruneSynapses, Remove, Reset
from lifelong.plasticity.rule import Rule
from lifelong.plasticity.scores import FiringAge, Magnitude, MeanActivation, WeightNorm
from lifelong.plasticity.selection import Below, Lowest
from lifelong.plasticity.triggers import Converged, Dormant, Every, Firing, TaskArrives
from lifelong.records.spec import Budget
from lifelong.structure import Structure

WHEN = Every(steps=1)
LOWEST = Lowest(WeightNorm(), share=0.1)


def mlp(activation=nn.ReLU):
    return nn.Sequential(nn.Linear(4, 6), activation(), nn.Linear(6, 5), activation(), nn.Linear(5, 3))


class Residual(nn.Module):
    """Has two layers that write to one stream."""

    def __init__(self):
        super().__init__()
        self.stem, self.inner, self.back, self.head = nn.Linear(4, 6), nn.Linear(6, 7), nn.Linear(7, 6), nn.Linear(6, 3)

    def forward(self, x):
        x = relu(self.stem(x))
        return self.head(x + self.back(relu(self.inner(x))))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Rule(WHEN, Remove()), r"Remove has to be told which units: give `which`, such as Lowest\("),
        (lambda: Rule(WHEN, PruneSynapses()), "PruneSynapses has to be told which synapses"),
        (lambda: Rule(WHEN, Remove(), WeightNorm()), "Remove has to be told which units"),
        (lambda: Rule(WHEN, Grow(0.1), LOWEST), "Grow is not told which: leave `which` out"),
        (lambda: Rule(WHEN, Reset(), Lowest(Magnitude(), count=1)), "Reset is about units; Magnitude scores"),
        (lambda: Rule(WHEN, PruneSynapses(), LOWEST), "PruneSynapses is about synapses; WeightNorm scores"),
        (lambda: Rule("step", Grow(0.1)), r"`when` is a trigger, such as TaskArrives\(\), not 'step'"),
        (lambda: Rule(WHEN, Grow), "`what` is an operator, such as Grow"),
        (lambda: Rule(WHEN, Grow(0.1), layers="0"), r"`layers` is a list of names, such as \['1', '3'\], not '0'"),
        (lambda: Rule(WHEN, Grow(0.1), layers=[]), r"`layers` is a list of names"),
    ],
)
def test_what_makes_no_rule(make, message):
    with pytest.raises(UsageError, match=message):
        make()


@pytest.mark.parametrize(
    ("network", "rule", "message"),
    [
        (mlp(), Rule(WHEN, Grow(0.1), layers=["7"]), "a rule on '7': no layer '7'"),
        (
            Residual(),
            Rule(WHEN, Grow(0.1), layers=["stam"]),
            "a rule on 'stam': no layer 'stam'; the nearest are 'stem'",
        ),
        (mlp(), Rule(WHEN, Grow(0.1), layers=["4"]), "a rule on '4': the units of '4' are fixed: .*output"),
        (mlp(), Rule(WHEN, Remove(), LOWEST, layers=["0", "4"]), "a rule on '4': the units of '4' are fixed"),
        (mlp(), Rule(WHEN, PruneSynapses(), Lowest(Magnitude(), count=1), layers=["1"]), "a rule on '1': no layer '1'"),
        (mlp(), Rule(WHEN, Grow(0.1), layers=["0", "2", "0"]), "a rule on '0', which is named twice"),
        (Residual(), Rule(WHEN, Grow(0.1), layers=["stem", "back"]), "'back', which has the same units as 'stem'"),
        (nn.Linear(4, 3), Rule(WHEN, Grow(0.1)), "the network has no units that may change"),
        (mlp(nn.Tanh), Rule(WHEN, Reset(), Lowest(FiringAge(), count=1)), "(?i)tanh"),
    ],
)
def test_rules_that_a_network_cannot_follow(network, rule, message):
    with pytest.raises(UsageError, match=message):
        Plasticity(rule).check(network, torch.zeros(1, 4))


def test_a_setup_refuses_a_bad_rule_before_training():
    network = mlp()
    setup = Setup(network, torch.optim.SGD(network.parameters(), 0.1), Budget(), inputs=(torch.zeros(1, 4),))
    with pytest.raises(UsageError, match="no layer '9'"):
        setup.naive(Plasticity(Rule(WHEN, Grow(0.1), layers=["9"])))


def test_a_trigger_that_needs_boundaries_is_refused_where_there_are_none():
    network = mlp()
    setup = Setup(network, torch.optim.SGD(network.parameters(), 0.1), Budget(), protocol="task-free")
    with pytest.raises(UsageError, match="the rules need task boundaries, which a task-free stream does not give"):
        setup.naive(Plasticity(Rule(TaskArrives(), Grow(0.1))))


def test_of_layers_with_the_very_same_units_one_is_changed(trainee):
    made = trainee(Residual())
    rule = Rule(WHEN, Grow(2))
    assert rule.layers_in(made.structure) == ("stem", "inner")
    made.act(rule)
    assert made.structure.layer("stem").units == made.structure.layer("back").units == 8
    assert made.structure.layer("inner").units == 9


def test_a_rule_about_synapses_is_about_the_weights_with_which_layers_read(trainee):
    structure = trainee(Residual()).structure
    rule = Rule(WHEN, PruneSynapses(), Lowest(Magnitude(), count=1))
    assert rule.targets_in(structure) == {"stem.weight": "stem", "back.weight": "stem", "inner.weight": "inner"}
    assert Rule(WHEN, PruneSynapses(), rule.which, layers=["inner"]).targets_in(structure) == {"inner.weight": "inner"}


def test_a_rule_acts_on_the_layers_that_the_trigger_fired_for(trainee):
    made = trainee()
    happenings = made.act(Rule(WHEN, Mark()), firing=Firing("seen", 1.0, {"2": 7.0}))
    assert [(each.trigger, each.value, each.name) for each in happenings] == [("seen", 7.0, "2")]
    assert [each.name for each in made.act(Rule(WHEN, Mark()), firing=Firing("seen", 1.0))] == ["0", "2"]


def test_what_a_rule_watches_and_reads():
    assert not Rule(WHEN, Freeze(), LOWEST).watches
    assert Rule(WHEN, Freeze(), Below(MeanActivation(), 0.1)).watches
    assert Rule(Dormant(steps=5), Grow(1)).watches
    assert Rule(WHEN, Merge()).watches
    assert not Rule(WHEN, Merge(by="fan-in")).watches
    assert Rule(Converged(), Grow(1)).reads == Converged().reads


def test_a_check_leaves_the_network_and_the_random_numbers_as_they_are():
    network = mlp()
    weights = {name: value.clone() for name, value in network.state_dict().items()}
    state = torch.random.get_rng_state()
    for rule in (Rule(WHEN, Grow(3, freeze=True)), Rule(WHEN, Remove(), LOWEST), Rule(WHEN, Reset(), LOWEST)):
        rule.check(Structure(network, torch.zeros(1, 4)))
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(torch.equal(weights[name], value) for name, value in network.state_dict().items())
    assert len(list(network.buffers())) == 0
