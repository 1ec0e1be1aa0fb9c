"""Removing, masking and silencing the same units are the same, also in the training that follows."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim import SGD, AdamW, Optimizer

from lifelong.structure import Role, Structure, prune_synapses, remove_units
from lifelong.structure.holding.marks import tensor_of

PLAIN = ["mlp", "mlp-batchnorm", "cnn-batchnorm", "separable", "upsampling", "residual", "dense", "heads", "own-resnet"]


def train(network: nn.Module, optimizer: Optimizer, inputs: tuple[Any, ...]) -> None:
    """Train for a few steps towards zero."""
    for _ in range(5):
        optimizer.zero_grad()
        network(*inputs).square().mean().backward()
        optimizer.step()


@pytest.mark.parametrize("kind", [SGD, AdamW])
@pytest.mark.parametrize("name", PLAIN)
def test_masked_and_removed_units_train_alike(name: str, kind: type[Optimizer], zoo: dict[str, Any]) -> None:
    masked, inputs = zoo[name](dtype=torch.float64), zoo[name].example(8, dtype=torch.float64)
    smaller = deepcopy(masked)
    pair = [
        Structure(network, *inputs, optimizer=kind(network.parameters(), lr=0.01, weight_decay=0.01))
        for network in (masked, smaller)
    ]
    layer = next(one for one in pair[0].layers.values() if one.fixed is None and one.units > 2)
    for slot in layer.slots_of(Role.FAN_OUT):
        where = torch.zeros(tensor_of(masked, slot.tensor).shape, dtype=torch.bool)
        prune_synapses(pair[0], slot.tensor, where.index_fill(slot.dim, slot.positions[[0, 2]].flatten(), True))
    remove_units(pair[1], layer.name, [0, 2])
    for structure in pair:
        train(structure.network, structure.optimizer, inputs)
    torch.testing.assert_close(smaller(*inputs), masked(*inputs), rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("name", [*PLAIN, "cnn-groupnorm", "cnn-instancenorm", "grouped", "incremental", "loop"])
def test_units_whose_outputs_are_zero_can_go(name: str, zoo: dict[str, Any]) -> None:
    network, inputs = zoo[name](dtype=torch.float64).eval(), zoo[name].example(dtype=torch.float64)
    structure = Structure(network, *inputs)
    for key in [one.name for one in structure.layers.values() if one.fixed is None]:
        layer = structure.layer(key)
        if layer.units == 1:  # it was shared with one that has lost a unit already
            continue
        for slot in layer.slots_of(Role.FAN_IN, Role.OWN):
            if "running" not in slot.tensor:
                tensor_of(network, slot.tensor).data.index_fill_(slot.dim, slot.positions[0], 0)
        said = network(*inputs)
        remove_units(structure, key, [0])
        torch.testing.assert_close(network(*inputs), said, rtol=1e-9, atol=1e-10)
