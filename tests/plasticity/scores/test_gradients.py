"""Scores from gradients equal those by hand: for the sum of outputs, a firing unit gets the sum of its fan-out."""

from __future__ import annotations

import numpy
import pytest
import torch
from torch import nn

from lifelong.plasticity.scores import Fisher, GradientNorm, SynapseFisher, SynapseGradient, SynapseTaylor, Taylor
from lifelong.structure import create_units, prune_synapses, remove_units

IN = numpy.array([[1.0, -2.0], [0.5, 0.0], [-1.0, -1.0]])
HEARD = numpy.array([3.0, 2.0, 0.0])
FIRED = numpy.array([[1.0, 0, 1, 0, 1, 1], [1, 1, 0, 0, 1, 1], [0, 0, 1, 1, 0, 0]])
X = numpy.array([[1.0, 0], [2, 1], [0, -1], [-1, 0], [3, -1], [7, 3]])
GRADIENT = HEARD[:, None] * (FIRED @ X)


def seen(score, training, name, *batches):
    for batch in batches:
        moment = training.update(batch)
        score.observe(moment, name)
    return score(moment, name).numpy()


def test_the_mean_absolute_gradient_of_fan_in(mlp, x):
    assert seen(GradientNorm(), mlp, "0", x) == pytest.approx(abs(GRADIENT).mean(1))


def test_taylor_sums_gradient_times_weight(mlp, x):
    assert (GRADIENT * IN).min() < 0
    assert seen(Taylor(), mlp, "0", x) == pytest.approx(abs(GRADIENT * IN).sum(1))


def test_fisher_averages_squares_not_gradients(mlp, x):
    found = seen(Fisher(decay=0.5), mlp, "0", x, -x)
    opposite = HEARD[:, None] * ((((IN @ -X.T) > 0).astype(float)) @ -X)
    expected = (0.25 * (GRADIENT**2).sum(1) + 0.5 * (opposite**2).sum(1)) / 0.75
    assert found == pytest.approx(expected)


def test_synapses_have_each_their_own(mlp, x):
    assert seen(SynapseGradient(), mlp, "0.weight", x) == pytest.approx(abs(GRADIENT))
    assert seen(SynapseTaylor(), mlp, "0.weight", x) == pytest.approx(abs(GRADIENT * IN))
    assert seen(SynapseFisher(), mlp, "0.weight", x) == pytest.approx(GRADIENT**2)


def test_the_filters_of_a_convolution(conv):
    moment = conv.update(torch.randn(4, 1, 2, 2))
    score = GradientNorm()
    score.observe(moment, "0")
    gradient = conv.network[0].weight.grad.reshape(3, -1)
    assert score(moment, "0").tolist() == pytest.approx(gradient.abs().mean(1).tolist())


def test_a_weight_without_a_gradient_counts_as_zero(mlp, x):
    moment = mlp.update(x)
    mlp.network.zero_grad(set_to_none=True)
    for score, name in ((GradientNorm(), "0"), (Fisher(), "0"), (SynapseTaylor(), "0.weight")):
        score.observe(moment, name)
        assert score(moment, name).abs().sum() == 0
        assert not score(moment, name).requires_grad


def test_scores_of_what_was_never_seen(mlp, x):
    moment = mlp.update(x)
    assert Fisher()(moment, "0").tolist() == [0, 0, 0]
    assert SynapseFisher()(moment, "0.weight").shape == (3, 2)


def test_a_pruned_synapse_still_has_a_gradient(mlp, x):
    prune_synapses(mlp.structure, "0.weight", torch.tensor([[False, True], [False, False], [False, False]]))
    assert seen(SynapseGradient(), mlp, "0.weight", x)[0, 1] == 3 * (
        0 + 1 + 0 - 1 + 3
    )  # it fires at all but the third and the fourth


def test_running_means_of_synapses_follow_units_that_come_and_go(mlp, x):
    score = SynapseFisher(decay=0.9)
    for _ in range(3):
        moment = mlp.update(x)
        score.observe(moment, "0.weight")
    before = score(moment, "0.weight")
    mlp.carry(create_units(mlp.structure, "0", 2), score)
    mlp.carry(remove_units(mlp.structure, "0", [0]), score)
    after = score(mlp.moment(), "0.weight")
    assert torch.equal(after[:2], before[1:])
    assert after[2:].abs().sum() == 0
    moment = mlp.update(x)
    score.observe(moment, "0.weight")
    expected = mlp.network[0].weight.grad[2:].square()
    torch.testing.assert_close(score(moment, "0.weight")[2:], expected)


def test_a_copied_unit_is_as_easy_to_move_as_its_original(mlp, x):
    """Weights that are the same have the same scores."""
    network = nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 2))
    with torch.no_grad():
        network[0].weight[3], network[0].bias[3] = network[0].weight[0], network[0].bias[0]
        network[2].weight[:, 3] = network[2].weight[:, 0]
    training = type(mlp)(network, torch.zeros(1, 2))
    found = seen(Taylor(), training, "0", x)
    assert found[0] == pytest.approx(found[3])
