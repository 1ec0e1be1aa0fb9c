"""Moments of training that tests make by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lifelong.plasticity.activations import Activations
from lifelong.plasticity.moment import Batch, Memory, Moment, MomentKind
from lifelong.structure import Structure


class Training:
    """Holds a network, and what a plug-in would know of it."""

    def __init__(self, network: nn.Module, *inputs: Any, optimizer: torch.optim.Optimizer | None = None) -> None:
        self.network, self.optimizer = network, optimizer
        self.structure = Structure(network, *inputs, optimizer=optimizer)
        self.memory = Memory(torch.Generator().manual_seed(1))
        self.recorded = Activations()
        self.step = 0
        self.look()

    def look(self) -> None:
        layers = {name: layer for name, layer in self.structure.layers.items() if layer.fixed is None}
        self.memory.layers = layers
        self.recorded.layers = tuple(layers)

    def update(self, x: Tensor, loss: Callable[[Tensor], Tensor] | None = None) -> Moment:
        """Make one update by a loss of the outputs, by default their sum."""
        self.network.zero_grad()
        self.recorded.start(self.structure)
        output = self.network(x)
        self.recorded.stop()
        criterion = loss or Tensor.sum
        criterion(output).backward()
        if self.optimizer is not None:
            self.optimizer.step()
        self.step += 1
        nothing = torch.zeros(len(x), dtype=torch.int64)
        self.batch = Batch(x, nothing, nothing, output.detach(), lambda output, _: criterion(output))
        return self.moment()

    def moment(self, kind: MomentKind = MomentKind.STEP) -> Moment:
        layers = tuple(self.memory.layers)
        return Moment(kind, self.step, layers, self.structure, self.batch, self.memory, self.recorded)

    def carry(self, change, score) -> None:
        units = self.memory.layers[change.layer].units
        self.recorded.carry(change, change.layer, units)
        score.carry(change)
        self.look()


IN = [[1.0, -2.0], [0.5, 0.0], [-1.0, -1.0]]
OUT = [[2.0, -1.0, 4.0], [1.0, 3.0, -4.0]]
X = [[1.0, 0.0], [2.0, 1.0], [0.0, -1.0], [-1.0, 0.0], [3.0, -1.0], [7.0, 3.0]]
"""After ReLU the activations are, by sample: 1, .5, 0 - 0, 1, 0 - 2, 0, 1 - 0, 0, 1 - 5, 1.5, 0 - 1, 3.5, 0."""


def linear(weight: list[list[float]]) -> nn.Linear:
    made = nn.Linear(len(weight[0]), len(weight), bias=False)
    made.weight = nn.Parameter(torch.tensor(weight))
    return made


@pytest.fixture
def mlp() -> Training:
    """Return a network with two inputs, three units with ReLU, two outputs, and no bias."""
    network = nn.Sequential(linear(IN), nn.ReLU(), linear(OUT))
    return Training(network, torch.zeros(1, 2))


@pytest.fixture
def x() -> Tensor:
    return torch.tensor(X)


@pytest.fixture
def conv() -> Training:
    """Return a network for images of 2 x 2 pixels: three channels with ReLU, flattened to 12 features, two outputs."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 3, 1), nn.ReLU(), nn.Flatten(), nn.Linear(12, 2))
    return Training(network, torch.zeros(1, 1, 2, 2))
