"""Regularisers while a network changes: units that do nothing come and go, and nothing else can tell."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from importlib import import_module

import pytest
import torch
from avalanche.benchmarks import nc_benchmark
from avalanche.training.plugins import (
    EWCPlugin,
    LwFPlugin,
    MASPlugin,
    ReplayPlugin,
    RWalkPlugin,
    SynapticIntelligencePlugin,
)
from avalanche.training.supervised import Naive
from torch import nn
from torch.utils.data import TensorDataset

from lifelong.plasticity import Every, Grow, Lowest, Plasticity, Remove, Rule, TaskArrives, WeightNorm
from lifelong.registry import strategies
from lifelong.structure import Initialiser, Role, Start
from lifelong.workarounds.evaluating import no_evaluator

HOME = strategies.get("ewc").function.__module__
EWC = import_module(f"{HOME}.elastic_weight_consolidation").EWC
LearningWithoutForgetting = import_module(f"{HOME}.learning_without_forgetting").LearningWithoutForgetting
MemoryAwareSynapses = import_module(f"{HOME}.memory_aware_synapses").MemoryAwareSynapses
RiemannianWalk = import_module(f"{HOME}.riemannian_walk").RiemannianWalk
SynapticIntelligence = import_module(f"{HOME}.synaptic_intelligence").SynapticIntelligence


@dataclass(frozen=True)
class Dead(Initialiser):
    """Units that neither fire nor are read, so that they never learn: behind a ReLU their gradients are all zero."""

    def start(self, growth):
        values = {slot: torch.zeros(growth.shape(slot)) for slot in growth.layer.slots}
        for slot in growth.layer.slots_of(Role.OWN):
            values[slot].fill_(-1.0)
        return Start(values)


def benchmark():
    drawn = torch.Generator().manual_seed(0)
    y = torch.arange(6).repeat(16)
    data = TensorDataset(torch.randn(96, 5, generator=drawn) + 0.5 * y[:, None], y)
    data.targets = y.tolist()
    return nc_benchmark(data, data, 3, task_labels=False, seed=1)


def network():
    torch.manual_seed(2)
    return nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 7), nn.ReLU(), nn.Linear(7, 6))


PLUGINS = {
    "none": list,
    "ewc": lambda: [EWCPlugin(5.0)],
    "online ewc": lambda: [EWCPlugin(5.0, mode="online", decay_factor=0.8)],
    "si": lambda: [SynapticIntelligencePlugin(10.0)],
    "our ewc": lambda: [EWC(5.0)],
    "our online ewc": lambda: [EWC(5.0, "online", 0.8)],
    "our si": lambda: [SynapticIntelligence(1.0, eps=1e-3)],
    "mas": lambda: [MASPlugin(0.5)],
    "our mas": lambda: [MemoryAwareSynapses(0.5, 0.5)],
    "lwf": lambda: [LwFPlugin(1.0, 2.0)],
    "our lwf": lambda: [LearningWithoutForgetting(1.0, 2.0)],
    "rwalk": lambda: [RWalkPlugin(0.1, delta_t=3)],
    "our rwalk": lambda: [RiemannianWalk(0.1, delta_t=3)],
    "ewc, si and replay": lambda: [EWC(2.0), SynapticIntelligence(0.5), ReplayPlugin(20)],
    "avalanche's ewc, our si and replay": lambda: [EWCPlugin(2.0), SynapticIntelligence(0.5), ReplayPlugin(20)],
}
OPTIMIZERS = {
    "sgd": lambda made: torch.optim.SGD(made.parameters(), 0.05, momentum=0.9),
    "adamw": lambda made: torch.optim.AdamW(
        [{"params": [*made[0].parameters()], "lr": 0.02}, {"params": [*made[2:].parameters()]}], 0.01, weight_decay=0
    ),
}


def trained(name, optimizer, rules=(), *, first=False):
    """The strategy after three experiences of eight updates."""
    made, plugins = network(), PLUGINS[name]()
    ruled = [Plasticity(*rules)] if rules else []
    strategy = Naive(
        model=made,
        optimizer=OPTIMIZERS[optimizer](made),
        criterion=nn.CrossEntropyLoss(),
        train_mb_size=8,
        train_epochs=2,
        evaluator=no_evaluator(),
        plugins=ruled + plugins if first else plugins + ruled,
    )
    stream = benchmark().train_stream
    torch.manual_seed(3)
    for experience in stream:
        strategy.train(experience)
    return strategy


def weights(strategy):
    return [parameter.detach() for parameter in strategy.model.parameters()]


COME_AND_GO = (
    Rule(when=Every(steps=3).at_most(4), what=Grow(2, new=Dead())),
    Rule(when=Every(steps=5).at_most(2), what=Remove(), which=Lowest(WeightNorm(), count=2)),
    Rule(when=TaskArrives(), what=Grow(1, new=Dead()), layers=["0"]),
    Rule(when=Every(epochs=3), what=Remove(), which=Lowest(WeightNorm(), count=1), layers=["2"]),
)


@pytest.mark.parametrize(
    ("optimizer", "first"), [("sgd", False), ("adamw", True)], ids=["sgd, after them", "adamw, before them"]
)
@pytest.mark.parametrize("name", PLUGINS)
def test_units_that_do_nothing_leave_training_as_it_is(name, optimizer, first):
    plain = trained(name, optimizer)
    changed = trained(name, optimizer, COME_AND_GO, first=first)
    assert [tuple(value.shape) for value in weights(changed)] != [tuple(value.shape) for value in weights(plain)]
    for old, new in zip(weights(plain), weights(changed), strict=True):
        kept = new[tuple(slice(size) for size in old.shape)]
        assert torch.allclose(kept, old, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", ["ewc", "online ewc", "our ewc", "our online ewc", "our si", "our mas", "our rwalk"])
def test_the_plugins_do_something_here(name):
    """Without which the test above would say nothing."""
    assert not torch.allclose(weights(trained(name, "sgd"))[0], weights(trained("none", "sgd"))[0], atol=1e-3)


@pytest.mark.parametrize("name", ["ewc", "online ewc", "our ewc", "our online ewc", "our si", "our mas", "our rwalk"])
def test_after_a_removal_training_is_that_of_a_small_network_with_the_same_state(name):
    """Units are taken out as the second experience starts; beside it, a network that was cut by hand goes on."""
    rule = Rule(when=TaskArrives().at_most(1), what=Remove(), which=Lowest(WeightNorm(), count=3), layers=["0"])
    stream = list(benchmark().train_stream)[:2]

    def made(plugins):
        made = network()
        optimizer = torch.optim.SGD(made.parameters(), 0.05)
        evaluator = no_evaluator()
        return Naive(
            model=made,
            optimizer=optimizer,
            criterion=nn.CrossEntropyLoss(),
            train_mb_size=8,
            evaluator=evaluator,
            plugins=plugins,
        )

    torch.manual_seed(3)
    strategy = made([Plasticity(rule), *PLUGINS[name]()])
    strategy.train(stream[0])
    keep = strategy.model[0].weight.detach().norm(dim=1).argsort()[3:].sort().values
    by_hand = made(PLUGINS[name]())
    cut(strategy, by_hand, keep)
    for each in (strategy, by_hand):
        torch.manual_seed(4)
        each.train(stream[1])
    for a, b in zip(weights(strategy), weights(by_hand), strict=True):
        assert torch.equal(a, b)


def cut(strategy, by_hand, keep):
    """Give the second strategy what the first one has, less the units of the first layer that are not kept."""
    model, plugin = by_hand.model, by_hand.plugins[0]
    model[0], model[2] = nn.Linear(5, len(keep)), nn.Linear(len(keep), 7)
    by_hand.optimizer = torch.optim.SGD(model.parameters(), 0.05)
    by_hand.clock.train_exp_counter = 1

    def of(name, value):
        value = value.detach().clone()
        return value[keep] if name.startswith("0.") else value[:, keep] if name == "2.weight" else value

    shapes = {name: parameter.shape for name, parameter in strategy.model.named_parameters()}
    state = {name: of(name, parameter) for name, parameter in strategy.model.named_parameters()}
    model.load_state_dict(state)

    def walk(held):
        if isinstance(held, dict):
            held.update({name: cut_out(name, value) if name in shapes else walk(value) for name, value in held.items()})
            return held
        return type(held)(map(walk, held)) if isinstance(held, tuple | list) else held

    def cut_out(name, value):
        data = of(name, value.data.view(shapes[name]))
        if isinstance(value, torch.Tensor):
            return data
        value.reset_like((data.flatten() if isinstance(plugin, SynapticIntelligencePlugin) else data).shape)
        value.data = data.view(value.shape)
        return value

    for attribute, value in vars(deepcopy(strategy.plugins[1])).items():
        setattr(plugin, attribute, walk(value))
