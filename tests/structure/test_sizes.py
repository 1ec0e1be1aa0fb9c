"""What modules state of their sizes, against torch's own constructors."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
import torch
from torch import nn

from lifelong.structure.sizes import attributes, set_attributes, sync_attributes, sync_containers
from lifelong.structure.starting.drawing import draw

Make = Callable[[], nn.Module]

PAIRS: dict[str, tuple[Make, Make]] = {
    "linear": (lambda: nn.Linear(3, 4), lambda: nn.Linear(5, 6)),
    "conv1d": (lambda: nn.Conv1d(3, 4, 3), lambda: nn.Conv1d(5, 6, 3)),
    "conv2d": (lambda: nn.Conv2d(3, 4, (3, 1)), lambda: nn.Conv2d(5, 6, (3, 1))),
    "one channel": (lambda: nn.Conv2d(1, 4, 3), lambda: nn.Conv2d(1, 8, 3)),
    "grouped": (lambda: nn.Conv2d(4, 8, 3, groups=2), lambda: nn.Conv2d(6, 10, 3, groups=2)),
    "depthwise": (lambda: nn.Conv2d(4, 4, 3, groups=4), lambda: nn.Conv2d(7, 7, 3, groups=7)),
    "depthwise, twice": (lambda: nn.Conv2d(4, 8, 3, groups=4), lambda: nn.Conv2d(7, 14, 3, groups=7)),
    "depthwise, one": (lambda: nn.Conv2d(4, 4, 3, groups=4), lambda: nn.Conv2d(1, 1, 3, groups=1)),
    "transposed": (lambda: nn.ConvTranspose2d(3, 4, 3), lambda: nn.ConvTranspose2d(5, 6, 3)),
    "transposed, grouped": (
        lambda: nn.ConvTranspose2d(4, 8, 3, groups=2),
        lambda: nn.ConvTranspose2d(6, 10, 3, groups=2),
    ),
    "batch norm": (lambda: nn.BatchNorm2d(4), lambda: nn.BatchNorm2d(7)),
    "statistics alone": (lambda: nn.BatchNorm1d(4, affine=False), lambda: nn.BatchNorm1d(7, affine=False)),
    "instance norm": (lambda: nn.InstanceNorm2d(4, affine=True), lambda: nn.InstanceNorm2d(7, affine=True)),
    "layer norm": (lambda: nn.LayerNorm(4), lambda: nn.LayerNorm(7)),
    "layer norm, wide": (lambda: nn.LayerNorm((4, 2)), lambda: nn.LayerNorm((7, 2))),
    "rms norm": (lambda: nn.RMSNorm(4), lambda: nn.RMSNorm(7)),
    "group norm": (lambda: nn.GroupNorm(2, 4), lambda: nn.GroupNorm(3, 6)),
    "one group": (lambda: nn.GroupNorm(1, 4), lambda: nn.GroupNorm(1, 8)),
    "prelu": (lambda: nn.PReLU(4), lambda: nn.PReLU(7)),
    "embedding": (lambda: nn.Embedding(9, 4), lambda: nn.Embedding(9, 7)),
}


def give(module: nn.Module, other: nn.Module) -> None:
    """Put the tensors of one module into another."""
    module._parameters.update(other._parameters)
    module._buffers.update(other._buffers)


@pytest.mark.parametrize("kind", PAIRS)
def test_sizes_follow_the_tensors(kind: str) -> None:
    module, other = (make() for make in PAIRS[kind])
    before, after = attributes(module), attributes(other)
    assert before
    assert before != after
    give(module, other)
    assert attributes(module) == before
    sync_attributes(module)
    assert attributes(module) == after
    assert repr(module) == repr(other)
    sync_attributes(module)
    assert attributes(module) == after


@pytest.mark.parametrize("kind", PAIRS)
def test_attributes_are_plain_data_that_can_be_put_back(kind: str) -> None:
    module, other = (make() for make in PAIRS[kind])
    stated = attributes(module)
    assert json.loads(json.dumps(stated)) == stated
    set_attributes(other, stated)
    assert repr(module) == repr(other)


def test_a_changed_depthwise_convolution_runs() -> None:
    module, x = nn.Conv2d(4, 8, 3, groups=4), torch.randn(2, 3, 5, 5)
    other = nn.Conv2d(3, 6, 3, groups=3)
    give(module, other)
    sync_attributes(module)
    assert torch.equal(module(x), other(x))


def test_modules_that_are_not_known_state_nothing() -> None:
    assert attributes(nn.ReLU()) == attributes(nn.LSTM(3, 4)) == {}


class Heads(nn.Module):
    """Makes heads of the width that it remembers."""

    def __init__(self, in_features: int, heads: int = 2) -> None:
        super().__init__()
        self.in_features = in_features
        self.heads = nn.ModuleList(nn.Linear(in_features, 2) for _ in range(heads))
        self.unrelated = nn.Linear(3, 3)


def widened(heads: Heads, width: int) -> dict[nn.Module, int]:
    """Give all heads another width, and tell what they had."""
    before = {layer: layer.in_features for layer in heads.modules() if isinstance(layer, nn.Linear)}
    for head in heads.heads:
        head.weight = nn.Parameter(torch.zeros(2, width))
        sync_attributes(head)
    return before


def test_containers_follow_the_layers_inside_them() -> None:
    network = nn.Sequential(nn.Linear(8, 4), Heads(4))
    before = widened(network[1], 6)
    sync_containers(network, before)
    assert network[1].in_features == 6
    assert attributes(network[1]) == {"in_features": 6}


def test_containers_of_another_width_stay() -> None:
    heads = Heads(4)
    heads.in_features = 5
    sync_containers(heads, widened(heads, 6))
    assert heads.in_features == 5


def test_containers_without_a_changed_layer_stay() -> None:
    heads = Heads(4)
    sync_containers(heads, {nn.Linear(4, 2): 4})
    assert heads.in_features == 4


def test_a_parametrised_weight_is_not_computed() -> None:
    """Spectral normalisation moves its estimate whenever its weight is asked for in train mode."""
    layer = nn.utils.parametrizations.spectral_norm(nn.Linear(4, 4))
    before = {name: value.clone() for name, value in layer.state_dict().items()}
    attributes(layer)
    sync_attributes(layer)
    draw(layer, "bias", (2,), (6,))
    assert all(torch.equal(value, before[name]) for name, value in layer.state_dict().items())
