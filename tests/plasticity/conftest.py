"""A small network, with what a plug-in would know of it, at moments that tests make by hand."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from lifelong.plasticity.activations import Activations
from lifelong.plasticity.moment import Batch, Memory, Moment, MomentKind
from lifelong.plasticity.rule import Rule
from lifelong.plasticity.triggers import Firing
from lifelong.structure import Structure


class Trainee:
    """Follows a network's changes as `Plasticity` does; by default 4-6-5-3 units with ReLU, and Adam."""

    def __init__(self, network=None, inputs=None, optimizer=torch.optim.Adam):
        torch.manual_seed(5)
        self.network = network or nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3))
        self.inputs = torch.randn(7, 4) if inputs is None else inputs
        self.optimizer = optimizer(self.network.parameters(), lr=0.01)
        self.structure = Structure(self.network, self.inputs[:1], optimizer=self.optimizer)
        self.memory = Memory(torch.Generator().manual_seed(1))
        self.recorded = Activations()
        self.batch, self.step = None, 0
        self.look()

    def look(self):
        self.memory.layers = {name: layer for name, layer in self.structure.layers.items() if layer.fixed is None}
        for name, layer in self.memory.layers.items():
            self.memory.initial.setdefault(name, layer.units)
        self.recorded.layers = tuple(self.memory.layers)

    def update(self):
        y = torch.arange(len(self.inputs)) % 3
        self.optimizer.zero_grad()
        self.recorded.start(self.structure)
        output = self.network(self.inputs)
        self.recorded.stop()
        cross_entropy(output, y).backward()
        self.optimizer.step()
        self.step += 1
        self.batch = Batch(self.inputs, y, torch.zeros_like(y), output.detach(), cross_entropy)
        return self.moment()

    def moment(self, kind=MomentKind.STEP, **given):
        layers = tuple(self.memory.layers)
        return Moment(kind, self.step, layers, self.structure, self.batch, self.memory, self.recorded, **given)

    def outputs(self):
        with torch.no_grad():
            return self.network(self.inputs)

    def act(self, rule: Rule, *, firing=None):
        """Let a rule act and return what it did to each target; everything follows each change, as in a plug-in."""
        moment, targets, firing = self.moment(), rule.targets_in(self.structure), firing or Firing("by hand")
        happenings = []
        for happening in rule.act(moment, rule.choose(moment, firing, targets), targets):
            if (change := happening.outcome.change) is not None:
                rule.carry(change)
                self.look()
            happenings.append(happening)
        return happenings


@pytest.fixture
def trainee():
    """Return the class that makes a network; `network`, `inputs` and `optimizer` replace the usual ones."""
    return Trainee
