"""Drift and flips of signs are compared with values by hand."""

from __future__ import annotations

import pytest
import torch

from lifelong.errors import UsageError
from lifelong.plasticity.scores import Drift, SignFlip
from lifelong.plasticity.selection import Below, Lowest
from lifelong.structure import create_synapses, create_units, insert_layer, prune_synapses, remove_units


@torch.no_grad()
def moved(training, unit, by, layer=0):
    training.network[layer].weight[unit] += torch.tensor(by)


def test_the_distance_of_fan_in_from_where_it_was(mlp, x):
    score = Drift()
    score.observe(mlp.update(x), "0")
    moved(mlp, 0, [3.0, 4.0])
    moved(mlp, 2, [0.0, -2.0])
    assert score(mlp.moment(), "0").tolist() == [5, 0, 2]
    assert Lowest(-score, count=1).select(mlp.moment(), ["0"])["0"].tolist() == [0]


def test_since_it_was_last_asked(mlp, x):
    score = Drift(since="last")
    score.observe(mlp.update(x), "0")
    moved(mlp, 0, [3.0, 4.0])
    assert score(mlp.moment(), "0").tolist() == [5, 0, 0]
    moved(mlp, 1, [1.0, 0.0])
    assert score(mlp.moment(), "0").tolist() == [0, 1, 0]


def test_anchors_follow_both_dimensions_of_a_weight(mlp, x):
    score = Drift()
    for layer in ("0", "2"):
        score.observe(mlp.update(x), layer) if layer in mlp.memory.layers else None
    moved(mlp, 0, [3.0, 4.0])
    moved(mlp, 2, [0.0, 2.0])
    mlp.carry(remove_units(mlp.structure, "0", [0]), score)
    mlp.carry(create_units(mlp.structure, "0", 2), score)
    assert score(mlp.moment(), "0").tolist() == [0, 2, 0, 0]
    score.observe(mlp.update(x), "0")  # new units are anchored here
    moved(mlp, 3, [6.0, 8.0])
    assert score(mlp.moment(), "0").tolist() == [0, 2, 0, 10]


def test_a_unit_is_not_said_to_move_when_those_that_it_reads_come_and_go(mlp, x):
    torch.manual_seed(0)
    deep = type(mlp)(
        torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.ReLU(), torch.nn.Linear(3, 4), torch.nn.Linear(4, 2)),
        torch.zeros(1, 2),
    )
    score = Drift()
    score.observe(deep.update(x), "2")
    moved(deep, 1, [0.0, 3.0, 4.0], layer=2)
    deep.carry(create_units(deep.structure, "0", 2), score)
    assert score(deep.moment(), "2").tolist() == pytest.approx([0, 5, 0, 0], abs=1e-5)
    deep.carry(remove_units(deep.structure, "0", [1]), score)
    assert score(deep.moment(), "2").tolist() == pytest.approx([0, 4, 0, 0], abs=1e-5)
    score.observe(deep.update(x), "2")
    moved(deep, 0, [0.0, 0.0, 2.0, 0.0], layer=2)  # a synapse from a new unit
    assert score(deep.moment(), "2").tolist() == pytest.approx([2, 4, 0, 0], abs=1e-5)


def test_anchors_follow_a_layer_to_its_new_name(mlp, x):
    score = Drift()
    score.observe(mlp.update(x), "0")
    moved(mlp, 0, [3.0, 4.0])
    score.carry(insert_layer(mlp.structure, "0", hidden=4))
    mlp.look()
    assert score(mlp.moment(), "0.0").tolist() == [5, 0, 0]


def test_a_synapse_s_weight_along_the_sign_that_it_had(mlp, x):
    score = SignFlip()
    score.observe(mlp.update(x), "0.weight")
    moved(mlp, 0, [-3.0, 1.0])  # 1, -2 -> -2, -1
    moved(mlp, 2, [1.0, 0.0])  # -1, -1 -> 0, -1
    found = score(mlp.moment(), "0.weight")
    assert found[[0, 2]].tolist() == [[-2, 1], [0, 1]]
    chosen = Below(score, 0).select(mlp.moment(), ["0.weight"])["0.weight"]
    assert chosen.tolist() == [[True, False], [False, False], [True, False]]


@pytest.mark.parametrize(("since", "expected"), [("first", [-2, 1]), ("last", [2, 1])])
def test_a_sign_is_fixed_or_that_of_the_last_look(mlp, x, since, expected):
    score = SignFlip(since)
    score.observe(mlp.update(x), "0.weight")
    moved(mlp, 0, [-3.0, 1.0])
    score(mlp.moment(), "0.weight")
    assert score(mlp.moment(), "0.weight")[0].tolist() == expected


def test_a_synapse_that_is_born_at_zero_gets_a_sign_when_it_has_one(mlp, x):
    score = SignFlip()
    score.observe(mlp.update(x), "0.weight")
    where = torch.zeros(3, 2, dtype=torch.bool)
    where[0, 0] = True
    score.carry(prune_synapses(mlp.structure, "0.weight", where))
    score.carry(create_synapses(mlp.structure, "0.weight", where))
    assert not Below(score, 0).select(mlp.moment(), ["0.weight"])["0.weight"][0, 0]
    moved(mlp, 0, [-3.0, 0.0])
    assert score(mlp.moment(), "0.weight")[0, 0] == 3  # the old one was positive
    moved(mlp, 0, [4.0, 0.0])
    assert score(mlp.moment(), "0.weight")[0, 0] == -1


def test_what_is_neither_first_nor_last_is_refused():
    with pytest.raises(UsageError, match="no since 'lst'; did you mean 'last'"):
        Drift("lst")
    with pytest.raises(UsageError, match="no since"):
        SignFlip("always")
