"""Removed layers are skipped, or translated where the sizes differ, and leave nothing behind."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d
from torchvision.models import mobilenet_v2, resnet18

from lifelong.structure.operators.layers import insert_layer, remove_layer
from lifelong.structure.operators.replacements import Removed
from lifelong.structure.structure import Structure


def test_a_removed_block_is_skipped(zoo: Any) -> None:
    network, inputs = zoo["residual"](), zoo["residual"].example()
    by_hand = copy.deepcopy(network)
    by_hand[1] = nn.Identity()
    change = remove_layer(Structure(network, *inputs), "1")
    assert len(change.dropped) == 6 + 2 * 3  # weights of both convolutions, parameters and statistics of both norms
    assert not change.added
    for training in (True, False):
        assert torch.equal(network.train(training)(*inputs), by_hand.train(training)(*inputs))


def test_a_block_of_a_resnet_is_skipped() -> None:
    network, x = resnet18(num_classes=5), torch.randn(2, 3, 32, 32)
    by_hand = copy.deepcopy(network)
    del by_hand.layer3[1]
    remove_layer(Structure(network, x), "layer3.1")
    assert torch.equal(network(x), by_hand(x))


def test_a_shortcut_does_not_see_what_is_done_in_place_behind_a_removed_layer() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.relu, self.head = nn.Conv2d(2, 2, 1), nn.ReLU(inplace=True), nn.Conv2d(2, 3, 1)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(x + self.relu(self.conv(x)))

    network, x = Net(), torch.randn(2, 2, 4, 4)
    remove_layer(Structure(network, x), "conv")
    assert torch.equal(network(x.clone()), network.head(x + x.clamp(min=0)))


def test_a_module_is_removed_from_under_an_inserted_layer() -> None:
    network = nn.Sequential(nn.Linear(3, 3), nn.Tanh(), nn.Linear(3, 2))
    x = torch.randn(2, 3)
    structure = Structure(network, x)
    insert_layer(structure, "0", hidden=2)
    remove_layer(structure, "0.0")
    assert list(dict(network.named_parameters()))[:2] == ["0.1.0.weight", "0.1.0.bias"]
    assert torch.equal(network(x), network[2](x.tanh()))
    remove_layer(structure, "0.1")
    assert isinstance(network[0], Removed)
    assert torch.equal(network(x), network[2](x.tanh()))


def test_a_translator_pools_and_convolves() -> None:
    network, x = resnet18(num_classes=5), torch.randn(2, 3, 64, 64)
    change = remove_layer(Structure(network, x), "layer3")
    (weight, bias) = (network.get_parameter(name) for name in change.added)
    assert weight.shape == (256, 128, 1, 1)
    assert weight.std() > 0
    with torch.no_grad():
        maps = torch.randn(2, 128, 8, 8)
        expected = avg_pool2d(maps, 2).permute(0, 2, 3, 1) @ weight[:, :, 0, 0].T + bias
        torch.testing.assert_close(network.layer3(maps), expected.permute(0, 3, 1, 2))
    assert network(x).shape == (2, 5)


@pytest.mark.parametrize(
    ("name", "gone", "shapes"),
    [
        ("mlp", "2", [(7, 5), (7,)]),
        ("transformer", "embed", [(8, 6), (8,)]),
        ("cnn-batchnorm", "3", []),
        ("residual", "2", [(6, 4, 1, 1), (6,)]),
        ("upsampling", "2", [(5, 4, 1), (5,)]),
    ],
)
def test_a_translator_has_what_the_shapes_ask_for(zoo: Any, name: str, gone: str, shapes: list[tuple[int]]) -> None:
    network, inputs = zoo[name](), zoo[name].example()
    before = network(*inputs).shape
    change = remove_layer(Structure(network, *inputs), gone)
    assert [network.get_parameter(added).shape for added in change.added] == shapes
    assert network(*inputs).shape == before
    assert isinstance(network.get_submodule(gone), Removed)


def test_options_of_a_removed_layer_are_not_looked_at() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.ModuleList(
                nn.TransformerEncoderLayer(4, 2, 8, dropout=0, batch_first=True) for _ in range(2)
            )
            self.head = nn.Linear(4, 2)

        def forward(self, x: Tensor) -> Tensor:
            for layer in self.layers:
                x = layer(x, src_key_padding_mask=torch.tensor([[False, False, True]] * len(x)), is_causal=False)
            return self.head(x)

    network, x = Net(), torch.randn(2, 3, 4)
    by_hand = copy.deepcopy(network)
    structure = Structure(network, x)
    insert_layer(structure, "layers.0", hidden=3)
    torch.testing.assert_close(network(x), by_hand(x), rtol=0, atol=0)
    del by_hand.layers[1]
    remove_layer(structure, "layers.1")
    torch.testing.assert_close(network(x), by_hand(x), rtol=0, atol=0)


def test_blocks_of_a_mobilenet() -> None:
    network, x = mobilenet_v2(num_classes=4, width_mult=0.25).eval(), torch.randn(2, 3, 32, 32)
    expected = network(x)
    structure = Structure(network, x)
    insert_layer(structure, "features.2.conv.0")  # convolution, normalisation, ReLU6
    assert isinstance(network.get_submodule("features.2.conv.0.1.1"), nn.ReLU6)
    assert torch.equal(network(x), expected)
    remove_layer(structure, "features.2")
    assert isinstance(network.get_submodule("features.2.0"), nn.AdaptiveAvgPool2d)  # between 8 channels and 8
    remove_layer(structure, "features.3.conv.1")
    remove_layer(structure, "features.14")
    assert network.get_parameter("features.14.1.weight").shape == (40, 24, 1, 1)
    assert network(x).shape == expected.shape
