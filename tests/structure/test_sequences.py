"""Any sequence of operators, between steps of training, leaves network, optimizer, masks and blueprint consistent."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim import SGD, Adagrad, Adam, AdamW, Optimizer, RMSprop

from lifelong.structure import (
    Copy,
    Fresh,
    Layer,
    Structure,
    StructureError,
    blueprint,
    count,
    create_synapses,
    create_units,
    freeze_units,
    insert_layer,
    merge_units,
    prune_synapses,
    rebuild,
    reinitialise_units,
    remove_layer,
    remove_units,
    split_units,
    unfreeze_units,
)
from lifelong.structure.holding.marks import marks, masks, tensor_of

OPTIMIZERS: list[Callable[[Any], Optimizer]] = [
    lambda parameters: SGD(parameters, lr=0.01, momentum=0.9, weight_decay=0.01),
    lambda parameters: Adam(parameters, lr=0.01, weight_decay=0.01),
    lambda parameters: AdamW(parameters, lr=0.01, amsgrad=True),
    lambda parameters: RMSprop(parameters, lr=0.001, momentum=0.5, centered=True),
    lambda parameters: Adagrad(parameters, lr=0.01, initial_accumulator_value=0.1),
]
PRESERVE = ("create silent", "copy", "split", "revive", "insert", "freeze", "unfreeze")
"""Operators that leave the network's function as it is, unless the layer's units are normalised together."""


class Sequence:
    """A network in training, and what is done to it."""

    def __init__(self, animal: Any, seed: int) -> None:
        self.random = random.Random(seed)
        self.animal, self.seed = animal, seed
        self.network = animal(seed, torch.float64).train(self.random.random() < 0.5)
        self.inputs = animal.example(dtype=torch.float64)
        self.optimizer = self.random.choice(OPTIMIZERS)(self.network.parameters())
        self.structure = Structure(self.network, *self.inputs, optimizer=self.optimizer)

    def outputs(self) -> Tensor:
        """Return what a copy of the network returns in eval mode."""
        with torch.no_grad():
            return deepcopy(self.network).eval()(*self.inputs)

    def train(self, steps: int) -> None:
        """Train for a few steps."""
        for _ in range(steps):
            self.optimizer.zero_grad()
            self.network(*self.inputs).tanh().square().mean().backward()
            self.optimizer.step()

    def choose(self) -> tuple[str, Layer, Callable[[], Any]] | None:
        """Choose an operator and a layer; return both, and the call."""
        layers = [layer for layer in self.structure.layers.values() if not layer.fixed]
        if not layers:
            return None
        layer = self.random.choice(layers)
        units = self.random.sample(range(layer.units), min(layer.units, self.random.randint(1, 2)))
        weight = self.random.choice([name for name, tensor in self.network.named_parameters() if tensor.dim() > 1])
        where = torch.rand(self.network.get_parameter(weight).shape) < 0.4
        module = self.random.choice([name for name in self.structure.flows if name])
        how_many, hidden, on = self.random.randint(1, 3), self.random.choice([None, 2]), self.structure
        calls: dict[str, Callable[[], Any]] = {
            "create": lambda: create_units(on, layer.name, how_many, new=Fresh()),
            "create silent": lambda: create_units(on, layer.name, how_many),
            "copy": lambda: create_units(on, layer.name, how_many, new=Copy()),
            "split": lambda: split_units(on, layer.name, units, noise=0),
            "remove": lambda: remove_units(on, layer.name, units),
            "reinitialise": lambda: reinitialise_units(on, layer.name, units),
            "merge": lambda: merge_units(on, layer.name, [units]),
            "freeze": lambda: freeze_units(on, layer.name, units),
            "unfreeze": lambda: unfreeze_units(on, layer.name, units),
            "prune": lambda: prune_synapses(on, weight, where),
            "revive": lambda: create_synapses(on, weight, where),
            "insert": lambda: insert_layer(on, module, hidden=hidden),
            "remove layer": lambda: remove_layer(on, module),
        }
        name = self.random.choice(list(calls))
        return name, layer, calls[name]

    def assert_consistent(self) -> None:
        """Check that each parameter is trained once, with state of its shape, and that a new analysis sees the same."""
        trained = [id(parameter) for group in self.optimizer.param_groups for parameter in group["params"]]
        assert sorted(trained) == sorted(id(parameter) for parameter in self.network.parameters())
        for parameter, state in self.optimizer.state.items():
            assert id(parameter) in trained
            assert all(value.shape in ((), parameter.shape) for value in state.values() if isinstance(value, Tensor))
        again = Structure(self.network, *self.inputs).layers
        found = {layer.name: (layer.units, layer.fixed) for layer in self.structure.layers.values()}
        assert {layer.name: (layer.units, layer.fixed) for layer in again.values()} == found

    def assert_rebuilt(self) -> None:
        """From constructor, blueprint and weights: the same outputs, bit for bit."""
        again: nn.Module = rebuild(
            self.animal(self.seed, torch.float64), json.loads(json.dumps(blueprint(self.network)))
        )
        again.load_state_dict(self.network.state_dict())
        with torch.no_grad():
            assert torch.equal(again.eval()(*self.inputs), self.outputs())
        assert blueprint(again) == blueprint(self.network)


def held(network: nn.Module) -> dict[str, Tensor]:
    """Return the values of frozen entries."""
    found = {}
    for name, mark in marks(network).items():
        tensor = tensor_of(network, name).detach()
        found[name] = tensor[mark.expand_as(tensor)].clone()
    return found


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", [
    "mlp", "mlp-batchnorm", "mlp-layernorm", "cnn-batchnorm", "cnn-groupnorm", "separable", "grouped", "upsampling",
    "residual",
    "dense", "transformer", "heads", "incremental", "tied", "loop", "own-cnn", "own-resnet",
])  # fmt: skip
def test_any_sequence_of_operators(name: str, seed: int, zoo: dict[str, Any]) -> None:
    sequence = Sequence(zoo[name], seed)
    sequence.train(2)
    for _ in range(8):
        chosen = sequence.choose()
        if chosen is None:
            break
        operator, layer, call = chosen
        before = sequence.outputs()
        try:
            call()
        except StructureError:
            assert torch.equal(sequence.outputs(), before), operator
        else:
            if operator in PRESERVE and not layer.mixed:
                torch.testing.assert_close(sequence.outputs(), before, rtol=1e-8, atol=1e-8, msg=operator)
        sequence.assert_consistent()
        frozen = held(sequence.network)
        sequence.train(2)
        assert all(torch.equal(value, frozen[key]) for key, value in held(sequence.network).items())
        assert all(not tensor_of(sequence.network, key)[~mask].any() for key, mask in masks(sequence.network).items())
    sequence.assert_rebuilt()
    assert count(sequence.network, *sequence.inputs).parameters == sum(p.numel() for p in sequence.network.parameters())
