"""Inserted layers change no output at first, stand where they are asked for, and learn."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torchvision.models import VisionTransformer, resnet18

from lifelong.structure.operators.layers import insert_layer, remove_layer
from lifelong.structure.operators.units import create_units
from lifelong.structure.structure import Structure

PLACES = [
    ("mlp", "0", {}),
    ("mlp", "1", {}),
    ("mlp", "1", {"activation": "ReLU"}),
    ("mlp", "0", {"hidden": 3, "activation": "Tanh"}),
    ("mlp-batchnorm", "2", {}),
    ("mlp-layernorm", "1", {"hidden": 2}),
    ("cnn-batchnorm", "0", {}),
    ("cnn-batchnorm", "1", {"hidden": 5, "activation": "GELU"}),
    ("cnn-batchnorm", "2", {}),
    ("cnn-batchnorm", "3", {}),
    ("cnn-batchnorm", "8", {}),
    ("separable", "4", {}),
    ("upsampling", "1", {"dim": 1}),
    ("upsampling", "3", {"hidden": 2, "activation": "Mish"}),
    ("residual", "1", {}),
    ("residual", "2", {"hidden": 3}),
    ("transformer", "up", {}),
    ("transformer", "norm1", {"hidden": 3}),
    ("heads", "features", {}),
    ("own-resnet", "0", {}),
]


@pytest.mark.parametrize(("name", "after", "options"), PLACES, ids=str)
@pytest.mark.parametrize("training", [True, False])
def test_an_inserted_layer_changes_no_output(
    zoo: Any, name: str, after: str, options: dict[str, Any], training: bool
) -> None:
    network, inputs = zoo[name]().train(training), zoo[name].example()
    before = copy.deepcopy(network)
    change = insert_layer(Structure(network, *inputs), after, **options)
    assert change.added
    assert {module.training for module in network.modules()} == {training}
    torch.manual_seed(3)
    expected = before(*inputs)
    torch.manual_seed(3)
    torch.testing.assert_close(network(*inputs), expected, rtol=0, atol=0)


def _resnet() -> nn.Module:
    return resnet18(num_classes=5)


def _vit() -> nn.Module:
    return VisionTransformer(
        image_size=32, patch_size=8, num_layers=2, num_heads=2, hidden_dim=16, mlp_dim=24, num_classes=5
    )


@pytest.mark.parametrize(
    ("make", "after", "options"),
    [
        (_resnet, "layer2", {}),
        (_resnet, "layer3.0.bn1", {"hidden": 4}),
        (_vit, "encoder.layers.encoder_layer_0.mlp", {}),
        (_vit, "encoder.layers.encoder_layer_0.mlp.1", {"hidden": 8, "activation": "GELU"}),
        (_vit, "encoder.layers.encoder_layer_1", {"hidden": 8}),
    ],
)
def test_on_networks_of_torchvision(make: Callable[[], nn.Module], after: str, options: dict[str, Any]) -> None:
    x = torch.randn(2, 3, 32, 32)
    network = make()
    before = copy.deepcopy(network)
    insert_layer(Structure(network, x), after, **options)
    for training in (True, False):
        assert torch.equal(network.train(training)(x), before.train(training)(x))


def test_the_layer_is_the_identity_matrix_with_the_same_activation() -> None:
    network = nn.Sequential(nn.Linear(4, 3), nn.Hardtanh(-0.5, 2.0), nn.Linear(3, 2))
    structure, state = Structure(network, torch.randn(2, 4)), torch.get_rng_state()
    change = insert_layer(structure, "1")
    assert torch.equal(torch.get_rng_state(), state)  # nothing is drawn
    assert (change.operator, change.layer) == ("insert layer", "1.1")
    identity, activation = network.get_submodule(change.layer)
    assert torch.equal(identity.weight, torch.eye(3))
    assert torch.equal(identity.bias, torch.zeros(3))
    assert type(activation) is nn.Hardtanh
    assert (activation.min_val, activation.max_val) == (-0.5, 2.0)
    assert change.added == ("1.1.0.weight", "1.1.0.bias")
    assert not change.renamed
    assert not change.dropped


def test_behind_anything_but_an_idempotent_activation_the_layer_is_linear(zoo: Any) -> None:
    network = zoo["mlp-batchnorm"]()
    insert_layer(Structure(network, *zoo["mlp-batchnorm"].example()), "2")  # GELU
    assert isinstance(network.get_submodule("2.1"), nn.Linear)


class Shifted(nn.Sequential):
    """Ends in a ReLU, and returns something else."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) - 1


@pytest.mark.parametrize(("kind", "follows"), [(nn.Sequential, True), (Shifted, False)])
def test_a_block_ends_in_an_activation_only_if_it_returns_what_that_returns(kind: Any, follows: bool) -> None:
    network = nn.Sequential(kind(nn.Linear(4, 3), nn.ReLU()), nn.Linear(3, 2))
    x = torch.randn(9, 4)
    before = network(x)
    insert_layer(Structure(network, x), "0")
    assert torch.equal(network(x), before)
    assert isinstance(network.get_submodule("0.1"), nn.Sequential) is follows


@pytest.mark.parametrize("ndim", [1, 2, 3])
@pytest.mark.parametrize("hidden", [None, 2])
def test_convolutions_of_every_dimension(ndim: int, hidden: int | None) -> None:
    conv = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[ndim - 1]
    network = nn.Sequential(conv(2, 3, 3), nn.Flatten(), nn.LazyLinear(2)).double()
    x = torch.randn(2, 2, *[5] * ndim, dtype=torch.float64)
    before = network(x)
    change = insert_layer(Structure(network, x), "0", hidden=hidden)
    assert torch.equal(network(x), before)
    assert all(network.get_parameter(name).dtype is torch.float64 for name in change.added)
    assert [network.get_parameter(name).dim() for name in change.added][::2] == [ndim + 2] * len(change.added[::2])


def test_a_second_layer_behind_an_activation_is_followed_by_it_too() -> None:
    network = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
    structure = Structure(network, torch.randn(2, 4))
    for _ in range(2):
        insert_layer(structure, "1")
    assert isinstance(network.get_submodule("1.1.1"), nn.ReLU)


def test_the_units_lie_where_the_caller_says() -> None:
    class Swap(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.transpose(1, 2)

    network = nn.Sequential(nn.Conv1d(3, 4, 1), Swap(), nn.Linear(4, 2))
    structure = Structure(network, torch.randn(2, 3, 7))
    insert_layer(structure, "1", dim=-1)
    assert network.get_parameter("1.1.weight").shape == (4, 4)
    insert_layer(structure, "0", dim=1)
    assert network.get_parameter("0.1.weight").shape == (4, 4, 3)


def test_a_residual_layer_learns() -> None:
    network = nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 2))
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    x, y = torch.randn(16, 4), torch.randint(2, (16,))
    change = insert_layer(Structure(network, x, optimizer=optimizer), "1", hidden=6, activation="GELU")
    start = {name: network.get_parameter(name).clone() for name in change.added}
    for _ in range(2):  # the fan-in gets a gradient once the fan-out is no longer zero
        optimizer.zero_grad()
        cross_entropy(network(x), y).backward()
        optimizer.step()
    assert not any(torch.equal(network.get_parameter(name), start[name]) for name in change.added)


def test_units_of_inserted_layers_can_be_created() -> None:
    network = nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 2))
    x = torch.randn(5, 4)
    expected = network(x)
    structure = Structure(network, x)
    residual = insert_layer(structure, "0", hidden=2).layer
    identity = insert_layer(structure, "1").layer
    create_units(structure, f"{residual}.0", 3)
    create_units(structure, identity, 2)
    assert network.get_parameter(f"{residual}.2.weight").shape == (3, 5)
    assert network.get_parameter(f"{identity}.weight").shape == (5, 3)
    torch.testing.assert_close(network(x), expected)
    remove_layer(structure, residual)
    torch.testing.assert_close(network(x), expected)
    create_units(structure, "0", 4)
    assert network.get_parameter(f"{identity}.weight").shape == (5, 7)
    torch.testing.assert_close(network(x), expected)
