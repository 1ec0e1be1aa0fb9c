"""DPAP's selection is compared with two simulations by hand, and with the bounds between survival and death."""

from __future__ import annotations

from math import exp

import pytest
import torch
from torch import nn

from lifelong.errors import UsageError
from lifelong.plasticity.operators import PruneSynapses
from lifelong.plasticity.scores.base import SynapseScore, UnitScore
from lifelong.plasticity.survival import Survival
from lifelong.structure import create_units, freeze_units, insert_layer, reinitialise_units, remove_units


class Use(UnitScore):
    """Scores nine units so that their use u is as given: the least is 0, and the 75th percentile (the seventh) is 1."""

    def __init__(self, *uses):
        super().__init__()
        self.values = torch.tensor([0.0, *uses, *[1.0] * (8 - len(uses))])

    def __call__(self, *_):
        return self.values


class UseOfSynapses(SynapseScore):
    """Scores nine synapses, of which the first is of no use."""

    def __call__(self, *_):
        return torch.ones(3, 3).index_put((torch.tensor(0), torch.tensor(0)), torch.tensor(0.0))


def dense():
    return nn.Sequential(nn.Linear(4, 9), nn.ReLU(), nn.Linear(9, 3))


def convolutional():
    return nn.Sequential(nn.Conv2d(1, 9, 3), nn.ReLU(), nn.Flatten(), nn.Linear(36, 3))


def deaths(made, survival, epochs):
    """Return, for each unit, after which epoch, counted from 0, it is chosen for the first time."""
    found = {}
    for epoch in range(epochs):
        for unit in survival.select(made.moment(), ["0"])["0"].tolist():
            found.setdefault(unit, epoch)
    return found


def test_what_is_of_no_use_dies_at_epoch_25_in_a_convolution_and_at_11_elsewhere(trainee):
    assert deaths(trainee(dense()), Survival(Use()), 60) == {0: 11}
    assert deaths(trainee(convolutional(), torch.randn(2, 1, 4, 4)), Survival(Use()), 60) == {0: 25}


def test_only_those_below_a_use_ever_die(trainee):
    """The bound of use is .065 in a convolution and .51 elsewhere, to the accuracy of these numbers."""
    made = trainee(dense())
    assert set(deaths(made, Survival(Use(0.50, 0.52)), 2000)) == {0, 1}
    made = trainee(convolutional(), torch.randn(2, 1, 4, 4))
    assert set(deaths(made, Survival(Use(0.060, 0.070)), 2000)) == {0, 1}


def test_every_epoch_is_as_the_formula_says(trainee):
    made, use = trainee(dense()), Use(0.3, 0.7, 0.9)
    survival, expected = Survival(use), [10.0] * 9
    for epoch in range(50):
        survival.select(made.moment(), ["0"])
        if epoch >= 5:
            for unit, u in enumerate(use.values.tolist()):
                gain = 2 * u - 1.5 + (2 if 2 * u > 1.5 else 0)
                expected[unit] = 0.999 * expected[unit] + gain * exp(-((epoch - 5) // 13))
        assert survival._strength["0"].tolist() == pytest.approx(expected, rel=1e-5, abs=1e-5)


def test_where_all_are_of_the_same_use_nobody_dies(trainee):
    use = Use()
    use.values = torch.zeros(9)
    assert deaths(trainee(dense()), Survival(use), 40) == {}


def test_the_weakest_come_first_and_protected_ones_are_left_out(trainee):
    made = trainee(dense())
    freeze_units(made.structure, "0", [0])
    survival = Survival(Use(0.2, 0.1), start=1.0)
    assert deaths(made, survival, 9) == {2: 5, 1: 5}
    assert survival.select(made.moment(), ["0"])["0"].tolist() == [2, 1]


def test_strength_follows_every_change(trainee):
    made, survival = trainee(dense()), Survival(Use(0.9, 0.8))
    for _ in range(8):
        survival.select(made.moment(), ["0"])
    known = survival._strength["0"].clone()
    for change, index in (
        (remove_units(made.structure, "0", [0, 4]), [1, 2, 3, 5, 6, 7, 8]),
        (reinitialise_units(made.structure, "0", [1]), [1, None, 3, 5, 6, 7, 8]),
        (create_units(made.structure, "0", 2), [1, None, 3, 5, 6, 7, 8, None, None]),
    ):
        survival.carry(change)
        assert survival._strength["0"].tolist() == [10.0 if old is None else known[old] for old in index]
    survival.carry(insert_layer(made.structure, "0", hidden=2))
    assert list(survival._strength) == list(survival._times) == ["0.0"]
    survival.forget()
    assert survival._strength == survival._times == {}


def test_synapses_survive_by_the_same_rule(trainee):
    made = trainee(nn.Sequential(nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 3)), torch.randn(7, 3))
    survival = Survival(UseOfSynapses())
    for epoch in range(12):
        found = survival.select(made.moment(), ["0.weight"], PruneSynapses())["0.weight"]
        assert found.nonzero().tolist() == ([[0, 0]] if epoch == 11 else []), epoch
    survival.carry(create_units(made.structure, "0", 1))
    assert survival._strength["0.weight"].shape == (4, 3)
    assert survival._strength["0.weight"][3].tolist() == [10.0] * 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"decay": 0.0}, r"decay = 0.0 is not in \(0, 1\]"),
        ({"begin": -1}, "begin = -1"),
        ({"start": -2.0}, "start = -2.0"),
    ],
)
def test_arguments_out_of_range(arguments, message):
    with pytest.raises(UsageError, match=message):
        Survival(Use(), **arguments)
