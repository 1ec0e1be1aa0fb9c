"""A strategy is resumed between experiences, in whatever state its network and its rules are."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from lifelong import Setup, load_scenario
from lifelong.data.resident import images_of
from lifelong.plasticity import (
    Every,
    Freeze,
    Grow,
    InsertLayer,
    Lowest,
    Magnitude,
    MeanActivation,
    Plasticity,
    PruneSynapses,
    Remove,
    Reset,
    Rule,
    TaskArrives,
    WeightNorm,
)
from lifelong.records.spec import Budget
from lifelong.registry import strategies
from lifelong.structure import Structure, frozen_units, pruned_synapses
from lifelong.training.checkpoint import Progress, load, save

RULES = {
    "growth": [Rule(when=TaskArrives(), what=Grow(0.2)), Rule(when=Every(steps=4), what=Grow(1))],
    "removal": [
        Rule(when=Every(steps=3), what=Remove(), which=Lowest(MeanActivation(0.9), count=1, mature=2), layers=["1"])
    ],
    "restarts": [Rule(when=Every(steps=3), what=Reset(), which=Lowest(MeanActivation(0.9), count=2, mature=2))],
    "masks": [
        Rule(when=Every(steps=4).at_most(3), what=PruneSynapses(), which=Lowest(Magnitude(), share=0.3)),
        Rule(when=Every(steps=5), what=Grow(1)),
    ],
    "frozen": [
        Rule(when=TaskArrives(first=True), what=Freeze(), which=Lowest(WeightNorm(), count=2)),
        Rule(when=TaskArrives(), what=Grow(0.2, freeze=True)),
    ],
    "inserted": [
        Rule(when=Every(steps=7).at_most(1), what=InsertLayer(hidden=3), layers=["3"]),
        Rule(when=Every(steps=3).cooldown(steps=5), what=Grow(1), layers=["3"]),
    ],
    "state": [
        Rule(when=(Every(steps=3) | TaskArrives()).cooldown(steps=5), what=Grow(1)),
        Rule(when=Every(epochs=2).at_most(2), what=Remove(), which=Lowest(MeanActivation(0.9), count=1)),
    ],
}


def network():
    torch.manual_seed(5)
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 12), nn.ReLU(), nn.Linear(12, 10), nn.ReLU(), nn.Linear(10, 10))


def strategy(name, rules, optimizer, layers=()):
    made, budget = network(), Budget(epochs=1, batch_size=64)
    setup = Setup(made, optimizer(made.parameters(), 0.01), budget)
    entry = strategies.get(name)
    ruled = entry(setup, **entry.resolve({"ewc_lambda": 1.0} if name == "ewc" else {}))
    ruled.plugins.insert(0, Plasticity(*rules))
    ruled.plugins[1:1] = layers
    return ruled


def train(strategy, path, *, killed):
    """Train on three experiences; if killed, each by a strategy that was read from a file."""
    benchmark = load_scenario("digits-class")
    torch.manual_seed(6)
    for experience in list(benchmark.train_stream)[:3]:
        strategy.train(experience)
        if killed:
            save(path, Progress(strategy, meter=None))
            del strategy
            torch.rand(7)  # another process has drawn other numbers
            progress = load(path, images_of(benchmark))
            assert progress is not None
            strategy = progress.strategy
    return strategy


def same(whole, resumed, number=0):
    old, new = (dict(each.model.named_parameters()) for each in (whole, resumed))
    assert list(old) == list(new)
    assert all(torch.equal(old[name], new[name]) for name in old)
    plugins = [each.plugins[number] for each in (whole, resumed)]
    assert plugins[0].events == plugins[1].events
    assert plugins[0].events
    assert plugins[0].births.keys() == plugins[1].births.keys()
    assert all(torch.equal(plugins[0].births[layer], plugins[1].births[layer]) for layer in plugins[0].births)


@pytest.mark.parametrize("optimizer", [torch.optim.Adam])
@pytest.mark.parametrize("kind", RULES)
def test_bit_for_bit(kind, optimizer, tmp_path):
    runs = [
        train(strategy("naive", RULES[kind], optimizer), tmp_path / "checkpoint", killed=killed)
        for killed in (False, True)
    ]
    same(*runs)


@pytest.mark.parametrize("name", ["ewc", "si", "gdumb", "replay"])
def test_bit_for_bit_in_other_strategies(name, tmp_path):
    rules = [*RULES["growth"], *RULES["restarts"]]
    runs = [
        train(strategy(name, rules, torch.optim.AdamW), tmp_path / "checkpoint", killed=killed)
        for killed in (False, True)
    ]
    same(*runs)


def test_two_plugins_of_which_one_acts_before_the_other_has_looked(tmp_path):
    def made():
        second = Plasticity(*RULES["removal"])
        grow = Rule(when=TaskArrives(), what=Grow(2))
        return strategy("naive", [grow, grow], torch.optim.Adam, [second])

    runs = [train(made(), tmp_path / "checkpoint", killed=killed) for killed in (False, True)]
    same(*runs)
    same(*runs, number=1)


def test_what_is_pruned_and_frozen_holds_on(tmp_path):
    rules = [
        Rule(when=Every(steps=2).at_most(1), what=PruneSynapses(), which=Lowest(Magnitude(), share=0.5)),
        Rule(when=Every(steps=3).at_most(1), what=Freeze(), which=Lowest(WeightNorm(), count=3)),
    ]
    benchmark, path = load_scenario("digits-class"), tmp_path / "checkpoint"
    first = strategy("naive", rules, torch.optim.Adam)
    first.train(benchmark.train_stream[0])
    save(path, Progress(first, meter=None))
    resumed = load(path, images_of(benchmark)).strategy
    held = Structure(resumed.model, torch.zeros(1, 1, 8, 8))
    gone, units = pruned_synapses(held, "3.weight"), list(frozen_units(held, "1"))
    frozen = resumed.model[1].weight[units].detach().clone()
    assert gone.any()
    assert len(units) == 3
    resumed.train(benchmark.train_stream[1])
    assert not resumed.model[3].weight[gone].any()
    assert torch.equal(resumed.model[1].weight[units], frozen)
    assert not torch.equal(resumed.model[5].weight, first.model[5].weight)
