"""Memory aware synapses, step for step beside Avalanche's; and at a loss of zero, where Avalanche's raises."""

from __future__ import annotations

import pytest
import torch
from avalanche.training.plugins import MASPlugin

LAST = 5


@pytest.mark.parametrize("kind", ["class", "domain", "task"])
def test_every_step_is_avalanches(kind, ours, same_steps):
    same_steps(ours("memory_aware_synapses", "MemoryAwareSynapses")(2.0, 0.3), MASPlugin(2.0, 0.3), kind)


def test_by_default_every_step_is_avalanches_too(ours, same_steps):
    same_steps(ours("memory_aware_synapses", "MemoryAwareSynapses")(), MASPlugin())


def test_what_is_known_is_what_avalanche_knows(ours, benchmark_of, network_for, train_with):
    benchmark = benchmark_of()
    plugin, stock = ours("memory_aware_synapses", "MemoryAwareSynapses")(1.0, 0.3), MASPlugin(1.0, 0.3)
    for each in (plugin, stock):
        train_with(network_for(benchmark), benchmark, each)
    for kept, theirs in ((plugin.importance, stock.importance), (plugin.anchor, stock.params)):
        assert kept.keys() == theirs.keys()
        assert all(torch.equal(kept[name], data.data) for name, data in theirs.items())


def importance_of(network, benchmark):
    """The mean over two batches of four of the absolute gradient of the mean squared norm."""
    x = torch.stack([benchmark.train_stream[0].dataset[i][0] for i in range(8)])
    weights = dict(network.named_parameters())
    expected = {name: torch.zeros_like(weight) for name, weight in weights.items()}
    for batch in (x[:4], x[4:]):
        norm = (network(batch) ** 2).sum(1).mean()
        for name, gradient in zip(weights, torch.autograd.grad(norm, list(weights.values())), strict=True):
            expected[name] += gradient.abs() / 2
    return expected


def test_dropped_units_do_not_count_as_unimportant(ours, benchmark_of, network_for, train_with):
    """Avalanche estimates in training mode, where units are dropped; ours is what the whole network depends on."""
    benchmark = benchmark_of()
    plugin = ours("memory_aware_synapses", "MemoryAwareSynapses")()
    strategy = train_with(network_for(benchmark, dropout=0.5), benchmark, plugin, experiences=1)
    torch.testing.assert_close(plugin.importance, importance_of(strategy.model.eval(), benchmark))


def test_the_importance_by_hand(ours, benchmark_of, network_for, train_with):
    """The mean over two batches of four of the absolute gradient of the mean squared norm."""
    benchmark = benchmark_of()
    plugin = ours("memory_aware_synapses", "MemoryAwareSynapses")()
    strategy = train_with(network_for(benchmark), benchmark, plugin, experiences=1)
    torch.testing.assert_close(plugin.importance, importance_of(strategy.model, benchmark))


@pytest.fixture
def at_zero_loss(benchmark_of, network_for, train_with):
    """`(plugin) -> Avalanche strategy`, trained on an experience of whose every label the network is certain."""

    def train(plugin):
        benchmark = benchmark_of()
        strategy = train_with(network_for(benchmark), benchmark, plugin, experiences=1)
        with torch.no_grad():
            strategy.model.classifier.weight.zero_()
            strategy.model.classifier.bias.copy_(torch.tensor([0.0] * LAST + [100.0]))
        certain = next(e for e in benchmark.train_stream if LAST in e.classes_in_this_experience)
        at = torch.nonzero(torch.tensor(list(certain.dataset.targets)) == LAST).flatten()
        certain._dataset = certain.dataset.subset(at)
        strategy.train(certain)
        return strategy

    return train


def test_mas_takes_zero_for_nothing_fault(at_zero_loss):
    with pytest.raises(ValueError, match="Loss is not available"):
        at_zero_loss(MASPlugin())


def test_it_goes_on_at_zero_loss(ours, at_zero_loss):
    strategy = at_zero_loss(ours("memory_aware_synapses", "MemoryAwareSynapses")())
    assert all(torch.isfinite(parameter).all() for parameter in strategy.model.parameters())
