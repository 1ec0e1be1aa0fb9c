"""Elastic weight consolidation, step for step beside Avalanche's, and its Fisher information by hand."""

from __future__ import annotations

import pytest
import torch
from avalanche.training.plugins import EWCPlugin
from torch.nn import functional


@pytest.mark.parametrize("kind", ["class", "domain", "task"])
def test_separate_penalties_are_avalanches(kind, ours, same_steps):
    same_steps(ours("elastic_weight_consolidation", "EWC")(3.0), EWCPlugin(3.0), kind, dropout=0.2)


@pytest.mark.parametrize("kind", ["class", "domain", "task"])
def test_the_running_penalty_is_avalanches(kind, ours, same_steps):
    same_steps(
        ours("elastic_weight_consolidation", "EWC")(3.0, "online", 0.7),
        EWCPlugin(3.0, "online", 0.7),
        kind,
        dropout=0.2,
    )


def test_what_is_known_is_what_avalanche_knows(ours, benchmark_of, network_for, train_with):
    benchmark = benchmark_of()
    for how in ((), ("online", 0.7)):
        plugin, stock = ours("elastic_weight_consolidation", "EWC")(3.0, *how), EWCPlugin(3.0, *how)
        for each in (plugin, stock):
            train_with(network_for(benchmark), benchmark, each)
        known = [2] if how else [0, 1, 2]
        assert sorted(stock.importances) == known
        for kept, theirs in ((plugin.fisher, stock.importances), (plugin.anchors, stock.saved_params)):
            assert len(kept) == len(known)
            for values, experience in zip(kept, known, strict=True):
                assert all(torch.equal(values[name], data.data) for name, data in theirs[experience].items())


def test_the_fisher_information_by_hand(ours, benchmark_of, network_for, train_with):
    """The mean over two batches of four of the squared gradient of the mean loss."""
    benchmark = benchmark_of()
    plugin = ours("elastic_weight_consolidation", "EWC")(1.0)
    strategy = train_with(network_for(benchmark), benchmark, plugin, experiences=1)
    rows = [benchmark.train_stream[0].dataset[i] for i in range(8)]
    weights = dict(strategy.model.named_parameters())
    expected = {name: torch.zeros_like(weight) for name, weight in weights.items()}
    for batch in (rows[:4], rows[4:]):
        loss = functional.cross_entropy(
            strategy.model(torch.stack([x for x, _, _ in batch])), torch.tensor([y for _, y, _ in batch])
        )
        for name, gradient in zip(weights, torch.autograd.grad(loss, list(weights.values())), strict=True):
            expected[name] += gradient**2 / 2
    torch.testing.assert_close(plugin.fisher[0], expected)
    assert strategy.model.training


def test_online_ewc_is_ewc_online(trained) -> None:
    weights = []
    for name, parameters in (("online-ewc", {}), ("ewc", {"mode": "online"})):
        strategy = trained(name, experiences=3, ewc_lambda=10.0, decay_factor=0.5, **parameters)
        weights.append(torch.cat([weight.detach().flatten() for weight in strategy.model.parameters()]))
    assert torch.equal(*weights)


def test_both_can_be_made_again(trained) -> None:
    """A module that is imported takes the place of a function of its name."""
    for name in ("online-ewc", "ewc", "online-ewc"):
        trained(name, experiences=1)
