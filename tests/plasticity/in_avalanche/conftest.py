"""Small networks and streams, and the stock strategies of Avalanche with rules among their plug-ins."""

from __future__ import annotations

import pytest
import torch
from avalanche.benchmarks import nc_benchmark
from avalanche.models import IncrementalClassifier, MTSimpleMLP, SimpleCNN, SimpleMLP, SlimResNet18
from avalanche.training import supervised
from torch import nn
from torch.utils.data import TensorDataset

from lifelong.plasticity import Every, Grow, Lowest, Remove, Reset, Rule, TaskArrives, WeightNorm
from lifelong.workarounds.evaluating import no_evaluator


@pytest.fixture
def rules():
    return _rules


def _rules():
    """Return rules that grow when a task arrives, and grow, remove and reset in the middle of each of two tasks."""
    return (
        Rule(when=TaskArrives(first=True), what=Grow(0.25)),
        Rule(when=Every(steps=3).at_most(3), what=Grow(2)),
        Rule(when=Every(steps=4).at_most(3), what=Remove(), which=Lowest(WeightNorm(), count=2)),
        Rule(when=Every(steps=5).at_most(3), what=Reset(), which=Lowest(WeightNorm("out"), count=1)),
    )


@pytest.fixture
def benchmark():
    return _benchmark


def _benchmark(*, tasks=False, experiences=3, size=(1, 4, 4), samples=96):
    drawn = torch.Generator().manual_seed(0)
    y = torch.arange(6).repeat(samples // 6)
    data = TensorDataset(torch.rand(len(y), *size, generator=drawn) + 0.2 * y.view(-1, 1, 1, 1), y)
    data.targets = y.tolist()
    return nc_benchmark(data, data, experiences, task_labels=tasks, seed=1, class_ids_from_zero_in_each_exp=tasks)


class Incremental(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Flatten(), nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU())
        self.classifier = IncrementalClassifier(8, 2)

    def forward(self, x):
        return self.classifier(self.features(x))


class Residual(nn.Module):
    """Has two layers that write to one stream of channels, and one layer within the block."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.norm = nn.Conv2d(1, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4)
        self.inner, self.back = nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.classifier = nn.Linear(4, 6)

    def forward(self, x):
        x = self.norm(self.stem(x)).relu()
        return self.classifier((x + self.back(self.inner(x).relu())).mean((2, 3)))


class Coloured(nn.Module):
    def forward(self, x):
        return x.expand(-1, 3, -1, -1)


def upsampled(network, size=12):
    return nn.Sequential(nn.Upsample(size), Coloured(), network)


MODELS = {
    "mlp": lambda: SimpleMLP(6, 16, 8, 2),
    "cnn": lambda: upsampled(SimpleCNN(6)),
    "heads for tasks": lambda: MTSimpleMLP(16, 8),
    "incremental": Incremental,
    "residual": Residual,
    "slim-resnet18": lambda: upsampled(SlimResNet18(6, nf=2), 32),
}
OPTIMIZERS = {
    "sgd": lambda made: torch.optim.SGD(made.parameters(), 0.01, momentum=0.9),
    "adam": lambda made: torch.optim.Adam(made.parameters(), 0.005),
    "adamw in two groups": lambda made: torch.optim.AdamW(
        [{"params": list(made.parameters())[:2], "lr": 0.001}, {"params": list(made.parameters())[2:]}], 0.005
    ),
}


@pytest.fixture
def made():
    return _made


def _made(name, model, optimizer, *plugins, **parameters):
    torch.manual_seed(2)
    network = MODELS[model]() if isinstance(model, str) else model
    return getattr(supervised, name)(
        model=network,
        optimizer=OPTIMIZERS[optimizer](network),
        criterion=nn.CrossEntropyLoss(),
        train_mb_size=8,
        evaluator=no_evaluator(),
        plugins=list(plugins),
        **parameters,
    )


@pytest.fixture
def check_parameters():
    return _check_parameters


def _check_parameters(strategy):
    """Check that the optimizer holds the network's parameters and no others, and Avalanche knows each by its name."""
    named = dict(strategy.model.named_parameters())
    held = [id(parameter) for group in strategy.optimizer.param_groups for parameter in group["params"]]
    assert sorted(held) == sorted(map(id, named.values()))
    known = strategy.optimized_param_id
    assert {name: id(parameter) for name, parameter in known.items()} == {name: id(p) for name, p in named.items()}
    assert all(torch.isfinite(parameter).all() for parameter in named.values())
