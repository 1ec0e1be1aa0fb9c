"""Scores from the present weights equal those by hand."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from lifelong.errors import UsageError
from lifelong.plasticity.scores import Magnitude, MutualFreezing, Random, SynapseRandom, WeightNorm
from lifelong.plasticity.selection import Below, Lowest


@pytest.mark.parametrize(
    ("side", "squares"), [("in", [5.0, 0.25, 2.0]), ("out", [5.0, 10.0, 32.0]), ("both", [10.0, 10.25, 34.0])]
)
def test_the_norm_of_fan_in_fan_out_and_both(mlp, x, side, squares):
    assert WeightNorm(side)(mlp.update(x), "0").square().tolist() == pytest.approx(squares)


def test_the_norm_of_all_places_at_which_a_channel_is_read(conv):
    out = conv.network[3].weight.detach().reshape(2, 3, 4)
    found = WeightNorm("out")(conv.update(torch.randn(2, 1, 2, 2)), "0")
    torch.testing.assert_close(found, out.square().sum((0, 2)).sqrt())


def test_tied_weights_are_read_with_and_by(mlp):
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.down = nn.Linear(4, 3, bias=False)

        def forward(self, x):
            return torch.relu(self.down(x)) @ self.down.weight

    training = type(mlp)(Tied(), torch.zeros(1, 4))
    training.batch = None
    expected = training.network.down.weight.detach().norm(dim=1)
    for side in ("in", "out", "both"):
        torch.testing.assert_close(WeightNorm(side)(training.moment(), "down"), expected)


def test_a_synapses_magnitude(mlp, x):
    assert Magnitude()(mlp.update(x), "0.weight").tolist() == [[1, 2], [0.5, 0], [1, 1]]


def test_mutual_freezing_is_the_larger_side_over_its_median(mlp, x):
    found = MutualFreezing()(mlp.update(x), "0")
    into, out = [5**0.5, 0.5, 2**0.5], [5**0.5, 10**0.5, 32**0.5]
    expected = [max(a / 2**0.5, b / 10**0.5) for a, b in zip(into, out, strict=True)]
    assert found.tolist() == pytest.approx(expected)


def test_both_sides_have_to_be_small(mlp, x):
    moment = mlp.update(x)
    below = Below(MutualFreezing(), 0.1)
    assert below.select(moment, ["0"])["0"].tolist() == []
    with torch.no_grad():
        mlp.network[0].weight[1] *= 0.01
    assert below.select(moment, ["0"])["0"].tolist() == []
    with torch.no_grad():
        mlp.network[2].weight[:, 1] *= 0.01
    assert below.select(moment, ["0"])["0"].tolist() == [1]


def test_a_layer_that_nobody_hears_has_a_median_of_zero(mlp, x):
    with torch.no_grad():
        mlp.network[2].weight[:, :2] = 0
        mlp.network[0].weight[1] = 0
    found = MutualFreezing()(mlp.update(x), "0")
    assert found.tolist() == [pytest.approx((5 / 2) ** 0.5), 0, torch.inf]


def test_chance_repeats_itself_under_a_seed_and_not_otherwise(mlp, x):
    moment = mlp.update(x)

    def drawn(seed):
        moment.generator.manual_seed(seed)
        return torch.cat([Random()(moment, "0"), SynapseRandom()(moment, "0.weight").flatten()])

    assert torch.equal(drawn(1), drawn(1))
    assert not torch.equal(drawn(1), drawn(2))
    assert drawn(1).unique().numel() == 9


def test_chance_leaves_training_s_generator_alone(mlp, x):
    moment = mlp.update(x)
    before = torch.get_rng_state()
    Random()(moment, "0")
    SynapseRandom()(moment, "0.weight")
    assert torch.equal(torch.get_rng_state(), before)


def test_the_other_way_round(mlp, x):
    moment = mlp.update(x)
    assert Lowest(-WeightNorm(), count=1).select(moment, ["0"])["0"].tolist() == [0]
    assert Lowest(WeightNorm(), count=1).select(moment, ["0"])["0"].tolist() == [1]


def test_a_side_that_is_none_is_refused():
    with pytest.raises(UsageError, match="no side 'inn'; did you mean 'in'"):
        WeightNorm("inn")
