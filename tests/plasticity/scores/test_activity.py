"""Scores from activations equal those by hand, on the network of `conftest`."""

from __future__ import annotations

import numpy
import pytest
import torch

from lifelong.errors import UsageError
from lifelong.plasticity.scores import Contribution, MeanActivation
from lifelong.structure import create_units, insert_layer, reinitialise_units, remove_layer, remove_units

SAID = numpy.array([[1.0, 0.5, 0], [0, 1, 0], [2, 0, 1], [0, 0, 1], [5, 1.5, 0], [1, 3.5, 0]])
MEAN, CENTRED = SAID.mean(0), abs(SAID - SAID.mean(0)).mean(0)
MEAN_OUT, MEAN_IN = numpy.array([1.5, 2.0, 4.0]), numpy.array([1.5, 0.25, 1.0])


def test_mean_activation_of_the_last_batch(mlp, x):
    score = MeanActivation()
    score.observe(mlp.update(10 * x), "0")
    moment = mlp.update(x)
    score.observe(moment, "0")
    assert score(moment, "0").numpy() == pytest.approx(MEAN)


def test_mean_activation_is_an_average_of_updates_that_begins_without_a_bias(mlp, x):
    score = MeanActivation(decay=0.5)
    score.observe(mlp.update(x), "0")
    moment = mlp.update(3 * x)
    score.observe(moment, "0")
    # (.5 * .5 * 1 + .5 * 3) / (1 - .25) = 7/3 of the first batch's
    assert score(moment, "0").numpy() == pytest.approx(MEAN * 7 / 3)


def test_places_of_an_image_are_samples(conv):
    images = torch.randn(5, 1, 2, 2)
    moment = conv.update(images)
    score = MeanActivation()
    score.observe(moment, "0")
    said = conv.network[1](conv.network[0](images)).detach().numpy()
    assert score(moment, "0").numpy() == pytest.approx(said.mean(axis=(0, 2, 3)), rel=1e-5)


def test_the_utility_of_the_paper(mlp, x):
    score = Contribution(decay=0.9)
    for factor in (1.0, 2.0):
        moment = mlp.update(factor * x)
        score.observe(moment, "0")
    one = MEAN * numpy.array([3.0, 4.0, 8.0])
    utility = 0.9 * (0.1 * one) + 0.1 * 2 * one
    assert score(moment, "0").numpy() == pytest.approx(utility / (1 - 0.9**2))


@pytest.mark.parametrize(
    ("variant", "expected"),
    [
        ("raw", MEAN * 2 * MEAN_OUT),
        ("mean-corrected", CENTRED * MEAN_OUT),
        ("adaptable", CENTRED * MEAN_OUT / MEAN_IN),
        ("feature by input", CENTRED / MEAN_IN),
        ("adaptation", 1 / MEAN_IN),
        ("weight", MEAN_OUT),
    ],
)
def test_the_variants_of_the_code(mlp, x, variant, expected):
    moment = mlp.update(x)
    score = Contribution(variant=variant)
    score.observe(moment, "0")
    assert score(moment, "0").numpy() == pytest.approx(expected, rel=1e-5)


def test_the_mean_that_is_taken_away_is_a_running_one(mlp, x):
    score = Contribution(decay=0.75, variant="mean-corrected")
    for factor in (1.0, 3.0):
        moment = mlp.update(factor * x)
        score.observe(moment, "0")
    centre = (0.75 * 0.25 * MEAN + 0.25 * 3 * MEAN) / (1 - 0.75**2)
    first, second = CENTRED, abs(3 * SAID - centre).mean(0)
    utility = (0.75 * 0.25 * first + 0.25 * second) / (1 - 0.75**2) * MEAN_OUT
    assert score(moment, "0").numpy() == pytest.approx(utility, rel=1e-5)


def test_all_positions_of_a_channel_in_its_reader_count(conv):
    images = torch.randn(5, 1, 2, 2)
    moment = conv.update(images)
    score = Contribution()
    score.observe(moment, "0")
    said = conv.network[1](conv.network[0](images)).detach().abs().mean((0, 2, 3))
    out = conv.network[3].weight.detach().abs().reshape(2, 3, 4).sum((0, 2))
    assert score(moment, "0").tolist() == pytest.approx((said * out).tolist(), rel=1e-5)


def test_new_and_restarted_units_begin_again_and_the_others_go_on(mlp, x):
    score = Contribution(decay=0.9)
    for _ in range(3):
        moment = mlp.update(x)
        score.observe(moment, "0")
    before = score(moment, "0")
    mlp.carry(reinitialise_units(mlp.structure, "0", [1]), score)
    mlp.carry(create_units(mlp.structure, "0", 1), score)
    mlp.carry(remove_units(mlp.structure, "0", [0]), score)
    now = score(mlp.moment(), "0")
    assert now[1] == before[2]
    assert now[[0, 2]].tolist() == [0, 0]
    moment = mlp.update(x)
    score.observe(moment, "0")
    said = moment.activations("0").abs().mean(0)
    out = mlp.network[2].weight.detach().abs().sum(0)
    assert score(moment, "0")[0] == pytest.approx(float(said[0] * out[0]), abs=1e-6)  # one update old, no bias


def test_nothing_seen_is_a_score_of_zero(mlp, x):
    assert MeanActivation()(mlp.update(x), "0").tolist() == [0, 0, 0]


@pytest.mark.parametrize("decay", [1.0, -0.1])
def test_a_decay_that_is_none_is_refused(decay):
    with pytest.raises(UsageError, match=r"decay = .* the nearest is"):
        MeanActivation(decay=decay)


def test_a_variant_that_is_none_is_refused():
    with pytest.raises(UsageError, match="did you mean 'adaptable'"):
        Contribution(variant="adaptible")


def test_running_means_follow_a_layer_to_its_new_name(mlp, x):
    score = MeanActivation(decay=0.9)
    moment = mlp.update(x)
    score.observe(moment, "0")
    before = score(moment, "0")
    score.carry(insert_layer(mlp.structure, "0", hidden=4))
    mlp.look()
    assert torch.equal(score(mlp.moment(), "0.0"), before)
    score.carry(remove_layer(mlp.structure, "0.0"))
    assert not score.state
