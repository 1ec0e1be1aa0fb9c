"""The firing age counts silent updates, and layers that are never silent are refused."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from lifelong.errors import UsageError
from lifelong.models.networks.convolutional import cnn
from lifelong.models.networks.residual import slim_resnet18
from lifelong.plasticity.scores import FiringAge
from lifelong.plasticity.selection import Below
from lifelong.structure import Structure, create_units, reinitialise_units


def observed(score, training, *batches):
    for batch in batches:
        moment = training.update(torch.tensor(batch))
        score.observe(moment, "0")
    return score(moment, "0").tolist()


def test_updates_since_a_unit_last_fired(mlp):
    score = FiringAge()
    fires_0_and_1, fires_2 = [[1.0, 0.0]], [[-1.0, 0.0]]
    assert observed(score, mlp, fires_0_and_1) == [0, 0, -1]
    assert observed(score, mlp, fires_2, fires_2, [[0.0, -1.0]]) == [0, -3, 0]  # the last fires 0 and 2
    assert Below(score, -2).select(mlp.moment(), ["0"])["0"].tolist() == [1]


def test_one_sample_or_place_is_enough(mlp, conv):
    assert observed(FiringAge(), mlp, [[-1.0, 0.0], [1.0, 0.0]]) == [0, 0, 0]
    with torch.no_grad():
        conv.network[0].weight[:] = torch.tensor([1.0, -1.0, 1.0]).view(3, 1, 1, 1)
        conv.network[0].bias[:] = torch.tensor([-1.0, -1.0, -3.0])
    assert observed(FiringAge(), conv, [[[[0.0, 0.0], [0.0, 2.0]]]]) == [0, -1, -1]


def test_new_and_restarted_units_count_from_their_birth(mlp):
    score = FiringAge()
    assert observed(score, mlp, *[[[0.0, 1.0]]] * 3) == [-3, -3, -3]  # nothing fires
    mlp.carry(reinitialise_units(mlp.structure, "0", [1]), score)
    mlp.carry(create_units(mlp.structure, "0", 1), score)
    assert score(mlp.moment(), "0").tolist() == [-3, 0, -3, 0]
    with torch.no_grad():
        mlp.network[0].weight[[1, 3]] = 0.0
    assert observed(score, mlp, [[0.0, 1.0]]) == [-4, -1, -4, -1]


def network(activation):
    return nn.Sequential(nn.Linear(4, 8), activation, nn.Linear(8, 3))


class Functions(nn.Module):
    """Has no module for its non-linearity."""

    def __init__(self, function) -> None:
        super().__init__()
        self.one, self.two, self.function = nn.Linear(4, 8), nn.Linear(8, 3), function

    def forward(self, x):
        return self.two(self.function(self.one(x)))


def check(network, *shape):
    structure = Structure(network, torch.zeros(1, *shape))
    layers = tuple(name for name, layer in structure.layers.items() if layer.fixed is None)
    FiringAge().check(structure, layers)


@pytest.mark.parametrize("activation", [nn.ReLU(), nn.ReLU6(), nn.Hardtanh(0, 1), nn.Threshold(0.1, 0)])
def test_units_that_may_be_exactly_zero_are_taken(activation):
    check(network(activation), 4)
    check(nn.Sequential(network(activation)[:2], nn.Dropout(), nn.Linear(8, 3)), 4)


@pytest.mark.parametrize(
    "activation", [nn.Tanh(), nn.GELU(), nn.SiLU(), nn.LeakyReLU(), nn.ELU(), nn.Sigmoid(), nn.Identity()]
)
def test_units_that_never_are_are_refused(activation):
    with pytest.raises(UsageError, match="units of '0' are exactly 0 on none of 32 random inputs"):
        check(network(activation), 4)


def test_a_non_linearity_that_is_a_function_is_seen_too():
    check(Functions(functional.relu), 4)
    with pytest.raises(UsageError, match="units of 'one'"):
        check(Functions(torch.tanh), 4)


def test_one_such_layer_is_enough_to_refuse():
    mixed = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 3))
    with pytest.raises(UsageError, match="units of '2'"):
        check(mixed, 4)


@pytest.mark.parametrize(("extractor", "features"), [(cnn, 128), (slim_resnet18, 160)])
def test_pooled_and_residual_networks_are_taken(extractor, features):
    torch.manual_seed(0)
    check(nn.Sequential(extractor((3, 32, 32)), nn.Linear(features, 10)), 3, 32, 32)


class Drawing(nn.Module):
    """Draws random numbers in eval mode too."""

    def forward(self, x):
        return functional.dropout(x)


def test_the_check_leaves_no_trace():
    torch.manual_seed(0)
    made = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), Drawing(), nn.Linear(8, 3)).train()
    before = {name: value.clone() for name, value in made.state_dict().items()}
    drawn = torch.get_rng_state()
    check(made, 4)
    assert torch.equal(torch.get_rng_state(), drawn)
    assert all(torch.equal(value, before[name]) for name, value in made.state_dict().items())
    assert made.training
    assert not any(module._forward_pre_hooks for module in made.modules())
