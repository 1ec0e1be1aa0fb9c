"""Redundancy equals what numpy's correlation gives."""

from __future__ import annotations

import numpy
import pytest
import torch

from lifelong.errors import UsageError
from lifelong.plasticity.scores import Redundancy
from lifelong.plasticity.scores.redundancy import correlations, pairs
from lifelong.structure import create_units, remove_units


def test_correlations_are_those_of_numpy():
    said = torch.randn(50, 6, generator=torch.Generator().manual_seed(0))
    assert correlations(said).numpy() == pytest.approx(numpy.corrcoef(said.numpy().T), abs=1e-5)


def test_a_unit_that_does_not_vary_correlates_with_none():
    said = torch.randn(50, 3, generator=torch.Generator().manual_seed(0))
    said[:, 1], said[:, 2] = 0.0, 7.3
    assert correlations(said)[1:].abs().sum() == 0


def test_low_is_who_has_a_twin(mlp):
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        mlp.network[0].weight[:] = torch.tensor([[1.0, 0.0], [0.0, 1.0], [3.0, 0.0]])
    moment = mlp.update(torch.randn(64, 2, generator=generator))
    score = Redundancy()
    score.observe(moment, "0")
    found = score(moment, "0")
    said = moment.activations("0").numpy()
    expected = 1 - abs(numpy.corrcoef(said.T)[1, [0, 2]]).max()
    assert found.tolist() == pytest.approx([0, expected, 0], abs=1e-5)
    assert expected > 0.5
    assert pairs(correlations(moment.activations("0")), 0.95) == [[0, 2]]


def test_anticorrelated_units_are_superfluous_but_cannot_be_merged(mlp):
    score = Redundancy()
    one = torch.randn(20, 1, generator=torch.Generator().manual_seed(0))
    said = torch.cat([one, -2 * one, one**2], dim=1)
    score.state["0"] = {"said": said.t()}
    assert score(mlp.update(torch.ones(1, 2)), "0")[:2].tolist() == pytest.approx([0, 0], abs=1e-5)
    assert pairs(correlations(said), 0.95) == []


def test_pairs_are_disjoint_and_the_closest_come_first():
    found = torch.eye(5)
    for one, other, value in [(0, 1, 0.96), (1, 2, 0.99), (0, 3, 0.97), (3, 4, 0.98), (2, 4, 0.5)]:
        found[one, other] = found[other, one] = value
    assert pairs(found, 0.95) == [[1, 2], [3, 4]]
    assert pairs(found, 0.4) == [[1, 2], [3, 4]]
    assert pairs(found, 0.999) == []


def test_only_so_many_samples_are_kept_spread_over_the_batch(mlp):
    score = Redundancy(samples=4)
    moment = mlp.update(torch.arange(20.0).view(10, 2))
    score.observe(moment, "0")
    assert torch.equal(score.state["0"]["said"], moment.activations("0")[[0, 3, 6, 9]].t())


def test_what_was_said_follows_the_units(mlp, x):
    score = Redundancy()
    moment = mlp.update(x)
    score.observe(moment, "0")
    before = score.state["0"]["said"]
    mlp.carry(remove_units(mlp.structure, "0", [0]), score)
    mlp.carry(create_units(mlp.structure, "0", 1), score)
    assert torch.equal(score.state["0"]["said"][:2], before[1:])
    assert score(mlp.moment(), "0")[2] == 1  # nothing is known of the new one


def test_one_sample_is_refused():
    with pytest.raises(UsageError, match="takes 2 at least"):
        Redundancy(samples=1)
