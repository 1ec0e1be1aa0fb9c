"""The plug-in inside Avalanche's and the suite's strategies, with every kind of network."""

from __future__ import annotations

from functools import cache

import pytest
import torch
from avalanche.core import SupervisedPlugin
from avalanche.models import MTSimpleMLP

from lifelong import Setup, load_scenario
from lifelong.models import build_model
from lifelong.plasticity import Plasticity
from lifelong.records.spec import Budget
from lifelong.registry import scenarios, strategies
from lifelong.training.setup import make_optimizer


class Watch(SupervisedPlugin):
    """Notes which parameters an update of the current experience has moved."""

    def __init__(self):
        super().__init__()
        self.still: set[str] = set()

    def before_training_exp(self, strategy, **_):
        self.still = set(dict(strategy.model.named_parameters()))

    def before_update(self, strategy, **_):
        self.before = {name: parameter.detach().clone() for name, parameter in strategy.model.named_parameters()}

    def after_update(self, strategy, **_):
        for name, parameter in strategy.model.named_parameters():
            if name not in self.before or not torch.equal(parameter, self.before[name]):
                self.still.discard(name)


@pytest.fixture
def run(check_parameters):
    """Train, and check the network after each experience."""

    def train(strategy, stream):
        watch = Watch()
        strategy.plugins.insert(0, watch)  # so that it looks before the rules change anything
        for experience in stream:
            strategy.train(experience)
            check_parameters(strategy)
            others = {name for name in watch.still if "classifier" in name}  # the heads of other tasks
            assert watch.still <= others if isinstance(strategy.model, MTSimpleMLP) else not watch.still
        return strategy

    return train


REPLAYED = {"mem_size": 32}
STOCK = {
    "Naive": {},
    "EWC": {"ewc_lambda": 0.5},
    "SynapticIntelligence": {"si_lambda": 0.01},
    "MAS": {"lambda_reg": 0.1},
    "LwF": {"alpha": 1.0, "temperature": 2.0},
    "AGEM": {"patterns_per_exp": 16, "sample_size": 16},
    "GSS_greedy": {"mem_size": 96, "input_size": [1, 4, 4]},
    "CoPE": {"mem_size": 32, "p_size": 6, "n_classes": 6},
    "MIR": {**REPLAYED, "subsample": 16, "batch_size_mem": 8},
    "Replay": REPLAYED,
    "DER": REPLAYED,
    "ER_ACE": REPLAYED,
    "GDumb": REPLAYED,
    "Cumulative": {},
    "FromScratchTraining": {},
}
FEW = {"GSS_greedy": 288}
"""The number of samples, because it fails as long as it has stored less than a batch."""


@pytest.mark.parametrize("name", STOCK)
def test_stock_strategies(name, run, made, benchmark, rules):
    plugin = Plasticity(*rules())
    stream = benchmark(samples=FEW.get(name, 96)).train_stream
    strategy = run(made(name, "mlp", "adam", plugin, **STOCK[name]), stream)
    assert "grow" in {event.operator for event in plugin.events}
    if name not in ("GDumb", "CoPE"):
        assert strategy.model.features[0].out_features == 8 + 3 * 2 + 3 * 2 - 3 * 2
        assert {event.operator for event in plugin.events} == {"grow", "remove", "reset"}


NETWORKS = {
    "mlp": "adamw in two groups",
    "cnn": "sgd",
    "heads for tasks": "adam",
    "incremental": "adamw in two groups",
    "residual": "sgd",
}
NOT_FOR = {
    "CoPE": {"cnn", "heads for tasks", "incremental", "residual"},
    "DER": {"heads for tasks", "incremental"},
    "FromScratchTraining": {"mlp", "incremental"},
    "GSS_greedy": {"heads for tasks"},
    "SynapticIntelligence": {"heads for tasks"},
}
"""What Avalanche's cannot do: CoPE's last layer has to be a child of the network, DER wants all outputs from the start,
training from scratch one group of parameters, the others one head."""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "model"), [(name, model) for name in STOCK for model in NETWORKS if model not in NOT_FOR.get(name, ())]
)
def test_stock_strategies_with_every_network(name, model, run, made, benchmark, rules):
    plugin = Plasticity(*rules())
    stream = benchmark(tasks=model == "heads for tasks", samples=FEW.get(name, 96)).train_stream
    run(made(name, model, NETWORKS[model], plugin, **STOCK[name]), stream)
    assert "grow" in {event.operator for event in plugin.events}


@pytest.mark.slow
def test_a_deep_residual_network_with_replay(run, made, benchmark, rules):
    run(
        made("Replay", "slim-resnet18", "sgd", Plasticity(*rules()), mem_size=32), benchmark(experiences=2).train_stream
    )


@pytest.mark.parametrize("model", ["cnn", "heads for tasks", "incremental", "residual"])
def test_networks(model, run, made, benchmark, rules):
    plugin = Plasticity(*rules())
    stream = benchmark(tasks=model == "heads for tasks").train_stream
    run(made("EWC", model, "adamw in two groups", plugin, ewc_lambda=0.5), stream)


loaded = cache(load_scenario)

SUITE = ("naive", "replay", "agem", "gdumb", "er-ace", "der", "ewc", "si", "lwf", "mas", "cumulative", "joint")
SCENARIOS = ("digits-class", "digits-domain", "digits-task")
GENTLE = {"ewc": {"ewc_lambda": 1.0}, "si": {"si_lambda": 0.01}}


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize(
    ("name", "scenario"),
    [(name, other) for name in SUITE for other in SCENARIOS if not strategies.get(name).refusal(scenarios.get(other))],
)
def test_the_suites_strategies(name, scenario, optimizer, check_parameters, rules):
    entry, benchmark = strategies.get(name), loaded(scenario)
    stream = benchmark.train_stream
    torch.manual_seed(0)
    protocol = scenarios.get(scenario).protocol
    network = build_model("mlp", {"widths": [20, 16]}, protocol=protocol, benchmark=benchmark)
    budget = Budget(epochs=1, batch_size=32, optimizer=optimizer, lr=0.01)
    setup = Setup(network, make_optimizer(network, budget), budget, protocol=protocol)
    strategy = entry(setup, **entry.resolve(GENTLE.get(name, {})))
    plugin = Plasticity(*rules())
    strategy.plugins.insert(0 if optimizer == "sgd" else len(strategy.plugins), plugin)
    for experience in [stream] if name == "joint" else stream:
        strategy.train(experience)
        check_parameters(strategy)
    assert {event.operator for event in plugin.events} == {"grow", "remove", "reset"}
