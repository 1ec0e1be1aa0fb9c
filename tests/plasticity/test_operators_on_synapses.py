"""Operators on synapses: pruned ones stay pruned, created ones start from zero, reset ones are drawn anew."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.functional import linear

from lifelong.errors import UsageError
from lifelong.plasticity.amounts import Cubic
from lifelong.plasticity.operators import CreateSynapses, PruneSynapses, ResetSynapses
from lifelong.plasticity.rule import Rule
from lifelong.plasticity.scores import Magnitude, SynapseRandom
from lifelong.plasticity.selection import Lowest
from lifelong.plasticity.triggers import Every
from lifelong.structure import freeze_units, prune_synapses, pruned_synapses

WHEN = Every(steps=1)


def pruned(made, name="0.weight"):
    return pruned_synapses(made.structure, name)


def test_the_smallest_weights_are_pruned_and_stay_pruned_through_training(trainee):
    made = trainee()
    (first, second) = made.act(Rule(WHEN, PruneSynapses(), Lowest(Magnitude(), share=0.5)))
    assert [(each.name, each.operator, each.outcome.count) for each in (first, second)] == [
        ("0.weight", "prune-synapses", 12),
        ("2.weight", "prune-synapses", 15),
    ]
    weight = made.network[0].weight
    dead = pruned(made)
    assert weight[dead].abs().max() == 0
    made.update()
    assert weight[dead].abs().max() == 0
    assert weight[~dead].abs().min() > 0
    (again, _) = made.act(Rule(WHEN, PruneSynapses(), Lowest(Magnitude(), share=0.5)))
    assert again.outcome.count == 6  # half of those that live
    assert int(pruned(made).sum()) == 18


def test_a_weight_keeps_its_largest_synapse(trainee):
    made = trainee()
    weight = made.network[0].weight.detach().clone()
    rule = Rule(WHEN, PruneSynapses(), Lowest(Magnitude(), share=1.0), layers=["0"])
    (happening,) = made.act(rule)
    assert (happening.outcome.count, happening.outcome.note) == (23, "clipped from 24: the weight's last synapse stays")
    assert (~pruned(made)).flatten().nonzero().item() == weight.abs().argmax()
    (again,) = made.act(rule)
    assert (again.outcome.change, again.outcome.count) == (None, 0)


def test_of_weights_that_are_all_zero_one_stays_too(trainee):
    made = trainee()
    prune_synapses(made.structure, "0.weight", torch.eye(6, 4, dtype=torch.bool))
    with torch.no_grad():
        made.network[0].weight.zero_()
    made.act(Rule(WHEN, PruneSynapses(), Lowest(Magnitude(), share=1.0), layers=["0"]))
    assert int((~pruned(made)).sum()) == 1


def test_synapses_that_frozen_units_read_with_are_left_out(trainee):
    made = trainee()
    prune_synapses(made.structure, "0.weight", torch.ones(6, 4, dtype=torch.bool).triu())
    freeze_units(made.structure, "0", [0, 5])
    (happening,) = made.act(Rule(WHEN, CreateSynapses(), Lowest(SynapseRandom(), share=1.0), layers=["0"]))
    assert happening.outcome.count == 3 + 2 + 1  # of rows 1 to 3; row 0 has four more
    assert pruned(made).nonzero().tolist() == [[0, 0], [0, 1], [0, 2], [0, 3]]
    for operator in (PruneSynapses(), ResetSynapses()):
        rows = operator.candidates(made.moment(), "0.weight").any(1)
        assert rows.tolist() == [False, True, True, True, True, False]


def test_created_synapses_preserve_the_function_and_learn(trainee):
    made = trainee()
    made.act(Rule(WHEN, PruneSynapses(), Lowest(Magnitude(), share=0.9)))
    before, dead = made.outputs(), pruned(made, "2.weight")
    happenings = made.act(Rule(WHEN, CreateSynapses(), Lowest(SynapseRandom(), count=7)))
    assert [each.outcome.count for each in happenings] == [7, 7]
    assert torch.equal(made.outputs(), before)
    born = dead & ~pruned(made, "2.weight")
    assert int(born.sum()) == 7
    for _ in range(3):
        made.update()
    assert made.network[2].weight[born].abs().sum() > 0


def test_where_nothing_is_pruned_nothing_is_created(trainee):
    assert trainee().act(Rule(WHEN, CreateSynapses(), Lowest(SynapseRandom(), share=1.0))) == []


def test_exchange_at_a_fixed_density(trainee):
    """As in sparse evolutionary training, a share of the living synapses is pruned, and as many are created."""
    made = trainee()
    drop = Rule(WHEN, PruneSynapses(), Lowest(Magnitude(), share=0.3))
    grow = Rule(WHEN, CreateSynapses(), Lowest(SynapseRandom(), target=0.5))
    made.act(Rule(WHEN, PruneSynapses(), Lowest(Magnitude(), target=0.5)))
    for _ in range(3):
        assert [each.outcome.count for each in made.act(drop)] == [3, 4]  # of 12 and of 15
        assert [each.outcome.count for each in made.act(grow)] == [3, 4]
        assert (int(pruned(made).sum()), int(pruned(made, "2.weight").sum())) == (12, 15)


def test_a_cubic_target_is_the_sparsity_of_the_whole(trainee):
    """Of 24 synapses, .75 (1 - (1 - t / 4)^3) are pruned: 0, 10.4, 15.75, 17.7, 18."""
    made = trainee()
    rule = Rule(WHEN, PruneSynapses(), Lowest(Magnitude(), target=Cubic(0.75, steps=4)), layers=["0"])
    found = []
    for step in range(6):
        made.step = step
        made.act(rule)
        found.append(int(pruned(made).sum()))
    assert found == [0, 10, 15, 17, 18, 18]


def test_reset_synapses_are_drawn_anew_with_no_past(trainee):
    made = trainee()
    made.update()
    weight = made.network[0].weight
    with torch.no_grad():
        weight[0, 0] = 100.0  # out of the range of the first distribution
    made.update()
    before = weight.detach().clone()
    lowest = Lowest(Magnitude(), share=1.0)
    prune_synapses(made.structure, "0.weight", torch.eye(6, 4, dtype=torch.bool).roll(1, 0))
    (happening,) = made.act(Rule(WHEN, ResetSynapses(), lowest, layers=["0"]))
    dead = pruned(made)
    assert happening.outcome.count == 20
    assert bool((weight[~dead] != before[~dead]).all())
    assert weight.abs().max() <= 0.5  # 1 / sqrt(4)
    assert weight[dead].abs().max() == 0
    for key in ("exp_avg", "exp_avg_sq"):
        assert made.optimizer.state[weight][key][~dead].abs().sum() == 0
    assert weight.grad[~dead].abs().sum() == 0


def test_only_the_chosen_synapses_are_drawn_anew(trainee):
    made = trainee()
    before = made.network[2].weight.detach().clone()
    smallest = before.abs().flatten().argsort()[:5].sort().values
    made.act(Rule(WHEN, ResetSynapses(), Lowest(Magnitude(), count=5), layers=["2"]))
    changed = (made.network[2].weight != before).flatten().nonzero().flatten()
    assert torch.equal(changed, smallest)


class Own(nn.Module):
    """Is a layer that is not one of torch's, so that it is not known how it draws its weights."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(6, 4))

    def forward(self, x):
        return linear(x, self.weight)


def test_synapses_whose_first_distribution_is_not_known_are_refused_before_training(trainee):
    made = trainee(nn.Sequential(Own(), nn.ReLU(), nn.Linear(6, 3)))
    with pytest.raises(UsageError, match=r"ResetSynapses does not work on '0.weight': how Own first draws its weights"):
        Rule(WHEN, ResetSynapses(), Lowest(Magnitude(), count=1)).check(made.structure)


def test_an_operator_without_a_target_refuses_one():
    with pytest.raises(UsageError, match="ResetSynapses has no target to reach: give a share or a count"):
        Rule(WHEN, ResetSynapses(), Lowest(Magnitude(), target=0.5))
