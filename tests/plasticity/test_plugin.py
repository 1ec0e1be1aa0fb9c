"""In whole Avalanche strategies, a rule that never fires changes nothing; one that fires is followed and recorded."""

from __future__ import annotations

import pytest
import torch
from avalanche.training.supervised import Replay
from torch import nn

from lifelong import Setup, load_scenario
from lifelong.data.loading import ResidentLoading
from lifelong.plasticity import Every, Grow, Lowest, Plasticity, Remove, Rule, TaskArrives, WeightNorm
from lifelong.records.spec import Budget


def network():
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 20), nn.ReLU(), nn.Linear(20, 16), nn.ReLU(), nn.Linear(16, 10))


def trained(*plugins, experiences=3, epochs=1):
    torch.manual_seed(3)
    made = network()
    optimizer = torch.optim.Adam(made.parameters(), lr=0.01)
    strategy = Setup(made, optimizer, Budget(epochs=epochs, batch_size=32)).naive(*plugins)
    for experience in list(load_scenario("digits-class", seed=0).train_stream)[:experiences]:
        strategy.train(experience)
    return strategy


def test_a_rule_that_never_fires_leaves_training_as_it_is_bit_for_bit():
    plain = trained()
    ruled = trained(Plasticity(Rule(when=Every(steps=10**6), what=Grow(0.5))))
    for (name, a), (_, b) in zip(plain.model.named_parameters(), ruled.model.named_parameters(), strict=True):
        assert torch.equal(a, b), name


def test_growth_at_task_arrivals_is_written_down_and_trains_on():
    plugin = Plasticity(Rule(when=TaskArrives(), what=Grow(0.25)))
    strategy = trained(plugin)
    assert [(event.layer, event.count, event.experience) for event in plugin.events] == [
        ("1", 5, 1),
        ("3", 4, 1),
        ("1", 5, 2),
        ("3", 4, 2),
    ]
    assert strategy.model[1].out_features == 30
    assert strategy.model[5].in_features == 24
    for event in plugin.events:
        assert event.parameters_after > event.parameters_before
    held = {id(parameter) for group in strategy.optimizer.param_groups for parameter in group["params"]}
    assert held == {id(parameter) for parameter in strategy.model.parameters()}
    assert strategy.model[5].weight[:, 16:].abs().sum() > 0  # the new units' fan-out began at zero, and learned


def test_growth_draws_from_a_generator_of_its_own():
    seen = []

    class Watch(ResidentLoading):
        def before_forward(self, strategy, **_):
            seen.append(strategy.mb_y.clone())

    trained(Watch())
    plain, seen = seen[:], []
    trained(Watch(), Plasticity(Rule(when=TaskArrives(), what=Grow(0.25))))
    assert all(torch.equal(a, b) for a, b in zip(plain, seen, strict=True))


def test_what_would_empty_a_layer_is_clipped_and_said():
    plugin = Plasticity(
        Rule(when=Every(steps=5).at_most(1), what=Remove(), which=Lowest(WeightNorm(), share=1.0), layers=["3"])
    )
    strategy = trained(plugin, experiences=1)
    assert strategy.model[3].out_features == 1
    (event,) = plugin.events
    assert event.count == 15
    assert "clipped" in event.note


@pytest.mark.parametrize("mem_size", [50])
def test_in_a_plain_avalanche_script_with_replay(mem_size):
    torch.manual_seed(0)
    made = network()
    plugin = Plasticity(Rule(when=TaskArrives(), what=Grow(0.5)))
    strategy = Replay(
        model=made,
        optimizer=torch.optim.SGD(made.parameters(), lr=0.1, momentum=0.9),
        criterion=nn.CrossEntropyLoss(),
        mem_size=mem_size,
        train_mb_size=32,
        plugins=[plugin],
    )
    for experience in load_scenario("digits-class", seed=0).train_stream:
        strategy.train(experience)
    assert strategy.model[1].out_features == 20 + 4 * 10
    assert plugin.events[-1].loss_before is None  # an experience has just begun
