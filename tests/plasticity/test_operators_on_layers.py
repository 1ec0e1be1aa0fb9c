"""A rule inserts and removes layers, and its own list of layers follows."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from lifelong.errors import UsageError
from lifelong.plasticity.operators import Grow, InsertLayer, RemoveLayer
from lifelong.plasticity.rule import Rule
from lifelong.plasticity.triggers import Every
from lifelong.structure import freeze_units

WHEN = Every(steps=1)


def test_an_inserted_layer_preserves_the_function_and_rules_follow_the_names(trainee):
    made = trainee()
    before = made.outputs()
    rule = Rule(WHEN, InsertLayer(), layers=["2"])
    (happening,) = made.act(rule)
    assert (happening.operator, happening.outcome.change.layer) == ("insert-layer", "2.1")
    assert torch.equal(made.outputs(), before)
    assert rule.layers == ["2.0"]
    made.act(rule)
    assert rule.layers == ["2.0.0"]
    assert torch.equal(made.outputs(), before)


def test_another_rule_of_that_layer_goes_on(trainee):
    made = trainee()
    other = Rule(WHEN, Grow(2), layers=["2"])
    for happening in made.act(Rule(WHEN, InsertLayer(hidden=3), layers=["2"])):
        other.carry(happening.outcome.change)
    made.act(other)
    assert made.structure.layer("2.0").units == 7


def test_a_layer_that_keeps_its_shape_leaves_the_identity(trainee):
    made = trainee(nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 3)))
    rule = Rule(WHEN, RemoveLayer(), layers=["2"])
    made.act(rule)
    assert rule.layers == []
    with torch.no_grad():
        without = nn.Sequential(made.network[0], nn.ReLU(), made.network[4])
        assert torch.equal(made.outputs(), without(made.inputs))
    assert made.act(rule) == []


def test_a_layer_with_protected_units_stays(trainee):
    made = trainee()
    freeze_units(made.structure, "2", [1])
    (happening,) = made.act(Rule(WHEN, RemoveLayer(), layers=["2"]))
    assert (happening.outcome.change, happening.outcome.note) == (None, "it stays: some of its units are frozen")


class Odd(nn.Module):
    """Calls one layer twice."""

    def __init__(self):
        super().__init__()
        self.one, self.two, self.head = nn.Linear(4, 5), nn.Linear(5, 5), nn.Linear(5, 3)

    def forward(self, x):
        return self.head(torch.relu(self.two(torch.relu(self.two(torch.relu(self.one(x)))))))


@pytest.mark.parametrize("operator", [InsertLayer(), RemoveLayer()])
def test_what_cannot_be_is_refused_before_training(trainee, operator):
    made = trainee(Odd())
    with pytest.raises(UsageError, match=rf"{type(operator).__name__} does not work on 'two'"):
        operator.check(made.structure, ("two",))
    assert list(dict(made.network.named_modules())) == ["", "one", "two", "head"]


@pytest.mark.parametrize(
    ("arguments", "message"), [({"hidden": 0}, "the least is 1"), ({"activation": "Relu"}, "did you mean 'ReLU'")]
)
def test_bad_arguments(arguments, message):
    with pytest.raises(UsageError, match=message):
        InsertLayer(**arguments)
