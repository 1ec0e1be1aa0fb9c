"""Sleep consolidates what a memory holds into a slow network; gates begin linear and learn by gradient."""

from __future__ import annotations

import pytest
import torch
from avalanche.core import SupervisedPlugin
from torch import nn

from lifelong import load_strategy
from lifelong.errors import UsageError


def test_the_slow_network_follows_by_a_running_average(beside):
    follow = beside("sleep-consolidation", "sleep").follow
    slow, fast = nn.BatchNorm1d(2), nn.BatchNorm1d(2)
    with torch.no_grad():
        fast.weight.copy_(torch.tensor([3.0, 5.0]))
        fast.num_batches_tracked.fill_(7)
    follow(slow, fast, 0.75)
    assert slow.weight.tolist() == [1.5, 2.0]
    follow(slow, fast, 0.75)
    assert slow.weight.tolist() == [1.875, 2.75]
    assert int(slow.num_batches_tracked) == 7


class Nights(SupervisedPlugin):
    """The weights right before sleep, and what was trained on by then."""

    def __init__(self):
        super().__init__()
        self.evening, self.batches = [], []

    def before_training_iteration(self, strategy, **_):
        self.batches.append(strategy.mb_x.clone())

    def after_training_epoch(self, strategy, **_):
        self.evening.append(strategy.model.classifier.weight.detach().clone())


def sleeper(strategy):
    return next(plugin for plugin in strategy.plugins if hasattr(plugin, "slow"))


def test_the_network_wakes_up_as_the_slow_one_which_sleep_has_moved(trained):
    strategy = trained("sleep-consolidation", mem_size=40, epochs=3, experiences=2, watch=(nights := Nights()))
    slow = sleeper(strategy).slow
    for a, b in zip(strategy.model.parameters(), slow.parameters(), strict=True):
        assert a is not b
        assert torch.equal(a, b)
    assert not torch.equal(strategy.model.classifier.weight, nights.evening[-1])
    assert len(sleeper(strategy).memory.buffer) == 40
    held = {id(parameter) for group in strategy.optimizer.param_groups for parameter in group["params"]}
    assert held == {id(parameter) for parameter in strategy.model.parameters()}


def test_a_sleeper_that_keeps_all_of_itself_stays_as_it_first_fell_asleep(trained):
    strategy = trained("sleep-consolidation", decay=1.0, experiences=2, watch=(nights := Nights()))
    assert torch.equal(strategy.model.classifier.weight, nights.evening[0])


def test_waking_days_have_the_batches_that_they_would_have_without_sleep(trained):
    slept, plain = Nights(), Nights()
    trained("sleep-consolidation", experiences=3, watch=slept)
    trained("naive", experiences=3, watch=plain)
    assert all(torch.equal(a, b) for a, b in zip(slept.batches, plain.batches, strict=True))


def test_sleep_keeps_what_naive_training_forgets(trained):
    from lifelong import load_scenario

    dataset = load_scenario("digits-class", seed=1).train_stream[0].dataset
    x, y = (torch.stack([torch.as_tensor(dataset[i][part]) for i in range(100)]) for part in (0, 1))
    budget = {"experiences": 2, "epochs": 8, "widths": (60, 60)}
    right = {
        name: float((trained(name, **budget).model.eval()(x).argmax(1) == y).float().mean())
        for name in ("naive", "sleep-consolidation")
    }
    assert right["sleep-consolidation"] > right["naive"] + 0.5


def test_every_layer_begins_linear_and_learns_not_to_be(trained):
    fresh = trained("self-building-skips", experiences=0).model
    x = torch.randn(3, 1, 8, 8)
    assert torch.allclose(fresh(x) + fresh(-x), 2 * fresh(torch.zeros(1, 1, 8, 8)), atol=1e-6)
    strategy = trained("self-building-skips", experiences=2, epochs=4)
    gates = [module for module in strategy.model.modules() if hasattr(module, "above")]
    assert len(gates) == 2
    assert not any(isinstance(module, nn.ReLU) for module in strategy.model.modules())
    for gate in gates:
        assert 0 < abs(float(gate.above.detach()) - float(gate.below.detach())) < 1
    held = [id(parameter) for group in strategy.optimizer.param_groups for parameter in group["params"]]
    assert held == [id(parameter) for parameter in strategy.model.parameters()]


def test_two_slopes_by_hand(beside):
    gate = beside("self-building-skips", "slopes").TwoSlopes()
    with torch.no_grad():
        gate.above.fill_(2.0)
        gate.below.fill_(0.5)
    assert gate(torch.tensor([-4.0, 0.0, 3.0])).tolist() == [-2.0, 0.0, 6.0]


def test_gates_are_refused_where_there_is_nothing_to_gate():
    network = nn.Sequential(nn.Flatten(), nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 2))
    with pytest.raises(UsageError, match=r"nn\.ReLU"):
        load_strategy("self-building-skips", network, torch.optim.SGD(network.parameters(), 0.1))
