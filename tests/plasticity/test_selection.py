"""Selections choose the units and synapses that were worked out by hand."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from lifelong.errors import UsageError
from lifelong.plasticity.amounts import Cosine, Cubic, UntilDrop
from lifelong.plasticity.operators import CreateSynapses, Freeze, PruneSynapses, Remove, Reset
from lifelong.plasticity.ranking import lowest
from lifelong.plasticity.rule import Rule
from lifelong.plasticity.scores import Magnitude, WeightNorm
from lifelong.plasticity.scores.base import SynapseScore, UnitScore
from lifelong.plasticity.selection import Below, Lowest, Rate
from lifelong.plasticity.triggers import Every
from lifelong.structure import create_units, freeze_units, insert_layer, remove_units


class Given(UnitScore):
    """Returns the scores that a test gives, by layer."""

    def __init__(self, **values):
        super().__init__()
        self.values = {name.lstrip("_"): torch.tensor(value) for name, value in values.items()}

    def __call__(self, moment, layer):
        del moment
        return self.values[layer]


class GivenSynapses(SynapseScore):
    """Returns the scores of synapses that a test gives."""

    def __init__(self, values):
        super().__init__()
        self.values = torch.tensor(values)

    def __call__(self, moment, weight):
        del moment, weight
        return self.values


SIX, FIVE = [5.0, 2.0, 9.0, 2.0, 7.0, 1.0], [0.5, 6.0, 3.0, 8.0, 4.0]
BOTH = Given(_0=SIX, _2=FIVE)


def chosen(made, selection, *names, operator=None):
    found = selection.select(made.moment(), names or ("0", "2"), operator)
    return {name: units.tolist() for name, units in found.items()}


def test_the_lowest_come_first_and_ties_go_to_the_first(trainee):
    made = trainee()
    assert chosen(made, Lowest(BOTH, count=3)) == {"0": [5, 1, 3], "2": [0, 2, 4]}
    assert chosen(made, Lowest(BOTH, count=2), "0") == {"0": [5, 1]}
    assert chosen(made, Lowest(BOTH, count=99), "2") == {"2": [0, 2, 4, 1, 3]}


def test_a_share_is_of_those_that_may_be_chosen_and_rounded_down(trainee):
    made = trainee()
    assert chosen(made, Lowest(BOTH, share=0.5)) == {"0": [5, 1, 3], "2": [0, 2]}
    freeze_units(made.structure, "0", [5, 3])
    assert chosen(made, Lowest(BOTH, share=0.5)) == {"0": [1, 0], "2": [0, 2]}
    assert chosen(made, Lowest(BOTH, share=0.1)) == {"0": [], "2": []}
    assert chosen(made, Lowest(BOTH, share=1.0), "0") == {"0": [1, 0, 4, 2]}


def test_over_the_whole_network_layers_compete(trainee):
    made = trainee()
    assert chosen(made, Lowest(BOTH, count=5, scope="network")) == {"0": [5, 1, 3], "2": [0, 2]}
    assert chosen(made, Lowest(BOTH, share=0.1, scope="network")) == {"0": [], "2": [0]}  # of 11 units one


def test_infinite_scores_and_no_numbers_come_last_but_never_before_protected_units(trainee):
    made = trainee()
    freeze_units(made.structure, "0", [0])
    score = Given(_0=[0.0, torch.inf, 1.0, torch.nan, -torch.inf, torch.inf])
    assert chosen(made, Lowest(score, share=1.0), "0") == {"0": [4, 2, 1, 5, 3]}


def test_the_young_are_left_out(trainee):
    made = trainee()
    made.step = 100
    made.memory.births["0"] = torch.tensor([0, 89, 90, 91, 100, 50])
    assert chosen(made, Lowest(BOTH, share=1.0, mature=10), "0") == {"0": [5, 1, 0]}  # ages 50, 11 and 100
    assert chosen(made, Below(BOTH, 5.0, mature=10), "0") == {"0": [5, 1, 0]}
    assert chosen(made, Below(BOTH, 1.5, mature=10)) == {"0": [5], "2": [0]}  # all of "2" are 100 old


def test_a_share_may_change_and_is_asked_for_once(trainee):
    made = trainee()

    class Counted(Cosine):
        asked = 0

        def share(self, moment):
            self.asked += 1
            return super().share(moment)

    schedule = Counted(1.0, steps=4)
    lowest = Lowest(BOTH, share=schedule)
    found = []
    for made.step in range(6):
        found.append([len(units) for units in chosen(made, lowest).values()])
    assert found == [[6, 5], [5, 4], [3, 2], [0, 0], [0, 0], [0, 0]]  # shares 1, .854, .5, .146, 0, 0
    assert schedule.asked == 6


def test_a_target_is_reached_and_held(trainee):
    """Half of the first units is the target; growth in between is taken back."""
    made = trainee()
    half = Lowest(WeightNorm(), target=0.5)

    def count():
        return len(chosen(made, half, "0", operator=Remove())["0"])

    assert count() == 3
    remove_units(made.structure, "0", [0, 1])
    made.look()
    assert count() == 1
    create_units(made.structure, "0", 4)
    made.look()
    assert count() == 5
    remove_units(made.structure, "0", range(6))
    made.look()
    assert count() == 0
    assert len(chosen(made, Lowest(WeightNorm(), target=0.4), "2", operator=Freeze())["2"]) == 2
    freeze_units(made.structure, "2", [4])
    assert len(chosen(made, Lowest(WeightNorm(), target=0.4), "2", operator=Freeze())["2"]) == 1


def test_below_is_absolute_or_relative_to_the_mean_and_takes_what_is_equal(trainee):
    """The means are 26 / 6 and 4.3."""
    made = trainee()
    assert chosen(made, Below(BOTH, 2.0)) == {"0": [5, 1, 3], "2": [0]}
    assert chosen(made, Below(BOTH, 0.5, relative=True)) == {"0": [5, 1, 3], "2": [0]}
    assert chosen(made, Below(BOTH, 1.0, relative=True)) == {"0": [5, 1, 3], "2": [0, 2, 4]}
    freeze_units(made.structure, "0", [5])
    assert chosen(made, Below(BOTH, 2.0), "0") == {"0": [1, 3]}


def test_synapses_are_chosen_by_a_mask(trainee):
    made = trainee(nn.Sequential(nn.Linear(4, 2), nn.ReLU(), nn.Linear(2, 3)))
    score = GivenSynapses([[1.0, 5.0, 2.0, 8.0], [7.0, 3.0, 4.0, 6.0]])

    def select(selection, operator=None):
        return selection.select(made.moment(), ["0.weight"], operator)["0.weight"].tolist()

    assert select(Lowest(score, count=3)) == [[True, False, True, False], [False, True, False, False]]
    assert select(Below(score, 1.5)) == [[True, False, False, False], [False] * 4]
    made.act(Rule(Every(steps=1), PruneSynapses(), Lowest(score, count=3), layers=["0"]))
    assert select(Lowest(score, share=0.4)) == [[False, True, False, False], [False, False, True, False]]
    assert select(Lowest(score, count=1)) == [[False] * 4, [False, False, True, False]]
    assert select(Lowest(score, count=2), CreateSynapses()) == [[True, False, True, False], [False] * 4]
    assert select(Lowest(score, target=0.75), PruneSynapses()) == [
        [False, True, False, False],
        [False, False, True, True],
    ]
    assert select(Lowest(score, target=0.75), CreateSynapses()) == [[True, False, False, False], [False] * 4]


# Rate


def test_replacement_adds_up_until_a_whole_unit_is_due(trainee):
    """With a rate of .1, six units owe .6, 1.2, .8, 1.4, 1, .6, ...; five units owe one every other time."""
    made = trainee()
    rate = Rate(BOTH, 0.1, mature=0)
    found = []
    for made.step in range(1, 8):
        found.append(chosen(made, rate))
    assert [each["0"] for each in found] == [[], [5], [], [5], [5], [], [5]]
    assert [each["2"] for each in found] == [[], [0], [], [0], [], [0], []]


def test_several_may_be_due_at_once_but_no_more_than_there_are(trainee):
    made = trainee()
    made.step = 1
    assert chosen(made, Rate(BOTH, 0.5, mature=0), "0") == {"0": [5, 1, 3]}
    freeze_units(made.structure, "0", [5, 1])
    assert chosen(made, Rate(BOTH, 0.5, mature=0), "0") == {"0": [3, 0]}


def test_nothing_is_owed_for_the_young(trainee):
    made = trainee()
    rate = Rate(BOTH, 0.5, mature=3)
    counts = []
    for made.step in range(6):
        counts.append(len(chosen(made, rate, "0")["0"]))
    assert counts == [0, 0, 0, 0, 3, 3]


def test_debts_follow_names_and_end_with_the_network(trainee):
    made = trainee()
    made.step = 1
    rate = Rate(WeightNorm(), 0.1, mature=0)
    chosen(made, rate)
    rate.carry(insert_layer(made.structure, "2", hidden=2))
    made.look()
    assert [len(units) for units in chosen(made, rate, "0", "2.0").values()] == [1, 1]
    rate.carry(create_units(made.structure, "0", 4))
    made.look()
    assert [len(units) for units in chosen(made, rate, "0").values()] == [1]  # .2 + .1 * 10
    rate.forget()
    assert [len(units) for units in chosen(made, rate, "0").values()] == [1]
    assert rate._owed == {"0": 0.0}


# What is refused


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Lowest(BOTH), "a share, a count or a target: one of them"),
        (lambda: Lowest(BOTH, share=0.1, count=2), "a share, a count or a target: one of them"),
        (lambda: Lowest(BOTH, share=0.0), r"Lowest: share = 0.0 is not in \(0, 1\]; the nearest is 0.01"),
        (lambda: Lowest(BOTH, share=1.01), r"Lowest: share = 1.01 is not in \(0, 1\]; the nearest is 1.0"),
        (lambda: Lowest(BOTH, target=-1.0), r"Lowest: target = -1.0 is not in \(0, 1\]"),
        (lambda: Lowest(BOTH, count=0), "count = 0; the least is 1"),
        (lambda: Lowest(BOTH, count=1, scope="net"), "no scope 'net'"),
        (lambda: Lowest(BOTH, count=1, mature=-1), "mature = -1; the least is 0"),
        (lambda: Lowest(WeightNorm, count=1), "Lowest takes a score, such as WeightNorm"),
        (lambda: Below(0.1, 0.1), "Below takes a score"),
        (lambda: Below(Magnitude(), 0.1, mature=10), "no age is known of synapses"),
        (lambda: Rate(Magnitude(), 0.1), "no age is known of synapses"),
        (lambda: Rate(BOTH, 2.0), r"Rate: rate = 2.0 is not in \(0, 1\]; the nearest is 1.0"),
        (lambda: Rate(BOTH, 0.0), "Rate: rate = 0.0"),
    ],
)
def test_arguments_out_of_range(make, message):
    with pytest.raises(UsageError, match=message):
        make()


def test_what_does_not_fit_the_operator_is_refused():
    with pytest.raises(UsageError, match="Reset is about units; Magnitude scores something else"):
        Lowest(Magnitude(), count=1).check(Reset())
    with pytest.raises(UsageError, match="PruneSynapses is about synapses; WeightNorm scores something else"):
        Lowest(WeightNorm(), count=1).check(PruneSynapses())
    with pytest.raises(UsageError, match="Reset has no target to reach: give a share or a count"):
        Lowest(WeightNorm(), target=0.5).check(Reset())
    Lowest(WeightNorm(), target=0.5).check(Remove())


def test_a_selection_says_what_its_schedule_reads():
    assert Lowest(BOTH, share=UntilDrop(0.1)).reads == {"accuracy"}
    assert Lowest(BOTH, target=Cubic(0.5, 10)).reads == frozenset()
    rule = Rule(Every(epochs=1), Remove(), Lowest(WeightNorm(), share=UntilDrop(0.1)))
    assert rule.reads == {"accuracy"}


def test_the_lowest_of_many_are_those_of_a_stable_sort():
    torch.manual_seed(0)
    values = torch.randint(0, 50, (1000,)).float()
    values[::7] = torch.nan
    for count in (0, 1, 333, 857, 858, 1000, 2000, None):
        found = lowest({"0": values}, {"0": torch.ones(1000, dtype=torch.bool)}, count)["0"]
        assert torch.equal(found, values.argsort(stable=True)[:count]), count
