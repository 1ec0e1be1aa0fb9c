"""Removing units gives what torch-pruning's dependency graph gives for the same channels."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch
import torch_pruning
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torchvision.models import resnet18

from lifelong.structure import Structure, remove_units


def pruned(network: nn.Module, inputs: Tensor, layer: str, units: list[int]) -> nn.Module:
    """Return a copy without these units, made by torch-pruning."""
    network = deepcopy(network)
    module = network.get_submodule(layer)
    graph = torch_pruning.DependencyGraph().build_dependency(network, example_inputs=inputs)
    is_linear = isinstance(module, nn.Linear)
    prune = torch_pruning.prune_linear_out_channels if is_linear else torch_pruning.prune_conv_out_channels
    graph.get_pruning_group(module, prune, idxs=units).prune()
    return network


def chain() -> nn.Module:
    """A plain convolutional network."""
    return nn.Sequential(
        nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.Conv2d(6, 5, 3), nn.ReLU(), nn.Flatten(),
        nn.Linear(80, 7), nn.ReLU(), nn.Linear(7, 4),
    )  # fmt: skip


def assert_agreement(network: nn.Module, inputs: Tensor, layer: str, units: list[int]) -> None:
    """Check that both have the same tensors, bit for bit."""
    theirs = pruned(network, inputs, layer, units).state_dict()
    remove_units(Structure(network, inputs), layer, units)
    ours = network.state_dict()
    assert ours.keys() == theirs.keys()
    for name, tensor in theirs.items():
        assert torch.equal(ours[name], tensor), name


@settings(max_examples=10, deadline=None)
@given(data=st.data())
def test_on_a_chain(data: st.DataObject) -> None:
    layer, width = data.draw(st.sampled_from([("0", 6), ("3", 5), ("6", 7)]))
    units = sorted(data.draw(st.sets(st.integers(0, width - 1), min_size=1, max_size=width - 1)))
    assert_agreement(chain(), torch.randn(2, 3, 8, 8), layer, units)


@pytest.mark.parametrize(
    "layer", ["conv1", "layer1.0.conv1", "layer1.1.conv2", "layer2.0.conv1", "layer3.0.conv2", "layer4.1.conv2"]
)
def test_on_resnet18(layer: str) -> None:
    assert_agreement(resnet18(), torch.randn(1, 3, 32, 32), layer, [0, 3, 17, 63])
