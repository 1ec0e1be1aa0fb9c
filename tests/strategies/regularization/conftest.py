"""A small stream, networks for it, and training step by step, to hold our plug-ins beside Avalanche's."""

from __future__ import annotations

import warnings
from importlib import import_module
from types import SimpleNamespace

import pytest
import torch
from avalanche.core import SupervisedPlugin
from torch.nn.utils import parameters_to_vector

from lifelong import Setup
from lifelong.contracts import Context
from lifelong.data.images import ImageData, Samples
from lifelong.data.streams import make_benchmark
from lifelong.models import build_model
from lifelong.records.spec import Budget
from lifelong.registry import strategies

CLASSES = 6
BUDGET = Budget(epochs=2, batch_size=4, eval_batch_size=3)


class Watch(SupervisedPlugin):
    """Keeps the weights after each step, and whether all of the network is in training mode at each pass."""

    def __init__(self):
        super().__init__()
        self.weights, self.training = [], []

    def before_forward(self, strategy, **_):
        self.training.append(all(module.training for module in strategy.model.modules()))

    def after_training_iteration(self, strategy, **_):
        self.weights.append(parameters_to_vector(strategy.model.parameters()).detach().clone())


@pytest.fixture(scope="session")
def ours():
    """`(module, name) -> the class of that name`, beside the regularization strategies."""
    home = strategies.get("ewc").function.__module__
    return lambda module, name: getattr(import_module(f"{home}.{module}"), name)


@pytest.fixture(scope="session")
def benchmark_of():
    """`(kind) -> CLScenario` of three experiences, each of eight samples of two classes."""

    def make(kind="class"):
        generator = torch.Generator().manual_seed(1)
        data = Samples(torch.randn(CLASSES * 4, 1, 2, 2, generator=generator), torch.arange(CLASSES * 4) % CLASSES)
        return make_benchmark(kind, ImageData(data, data, torch.zeros(1), ""), Context(), experiences=3)

    return make


@pytest.fixture(scope="session")
def network_for():
    """`(benchmark, kind, dropout) -> nn.Module`, always with the same weights."""

    def make(benchmark, kind="class", dropout=0.0):
        torch.manual_seed(0)
        protocol = "task" if kind == "task" else "class"
        return build_model("mlp", {"widths": [5], "dropout": dropout}, protocol=protocol, benchmark=benchmark)

    return make


@pytest.fixture(scope="session")
def train_with():
    """`(network, benchmark, *plugins, experiences) -> Avalanche strategy`, trained with the generator seeded with 3."""

    def train(model, benchmark, *plugins, experiences=3):
        strategy = Setup(model, torch.optim.SGD(model.parameters(), 0.1, momentum=0.9), BUDGET).naive(*plugins)
        torch.manual_seed(3)
        with warnings.catch_warnings():
            if any(type(plugin).__module__.startswith("avalanche") for plugin in plugins):
                warnings.filterwarnings("ignore", message="__array_wrap__", category=DeprecationWarning)
            for experience in benchmark.train_stream[:experiences]:
                strategy.train(experience)
        return strategy

    return train


@pytest.fixture(scope="session")
def watch():
    return Watch


@pytest.fixture(scope="session")
def steps(benchmark_of, network_for, train_with):
    """`(plugin, kind, dropout) -> the weights after each step`, of three experiences."""

    def run(plugin=None, kind="class", dropout=0.0):
        benchmark, watching = benchmark_of(kind), Watch()
        train_with(network_for(benchmark, kind, dropout), benchmark, *([plugin] if plugin else []), watching)
        assert len(watching.weights) == 3 * BUDGET.epochs * 2
        return watching.weights

    return run


@pytest.fixture(scope="session")
def same_steps(steps):
    """`(one plug-in, another, kind, dropout)`: they lead to the same weights at each step, and not to those of none."""

    def check(one, other, kind="class", dropout=0.0):
        mine, theirs, none = (steps(plugin, kind, dropout) for plugin in (one, other, None))
        assert all(torch.equal(a, b) for a, b in zip(mine, theirs, strict=True))
        assert not torch.allclose(mine[-1], none[-1], atol=1e-3)

    return check


@pytest.fixture(scope="session")
def one_step():
    """`(plugin, network of five inputs, experiences that are over) -> the loss with its penalty`, after one step."""

    def step(plugin, model, done=0):
        loss = torch.zeros(1)
        clock = SimpleNamespace(train_exp_counter=done, train_iterations=0)
        strategy = SimpleNamespace(model=model, loss=loss, clock=clock, device=torch.device("cpu"))
        if not done:
            plugin.before_training_exp(strategy)
        plugin.before_training_iteration(strategy)
        strategy.loss += model(torch.randn(8, 5)).pow(2).mean()
        plugin.before_backward(strategy)
        strategy.loss.backward()
        plugin.after_training_iteration(strategy)
        return strategy.loss.detach()

    return step
