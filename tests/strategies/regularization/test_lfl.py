"""Less-forgetful learning beside Avalanche's, which trains in eval mode, and beside networks that change."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from avalanche.training.plugins import LFLPlugin

from lifelong import UsageError
from lifelong.plasticity import Every, Grow, Plasticity, Rule


@pytest.fixture(scope="module")
def kind(ours):
    return ours("less_forgetful_learning", "LessForgetfulLearning")


def test_lfl_on_a_network_of_ones_own_fault(benchmark_of, network_for, train_with) -> None:
    benchmark = benchmark_of()
    with pytest.raises(NotImplementedError, match="get_features"):
        train_with(network_for(benchmark), benchmark, LFLPlugin(1.0))


class _Features(LFLPlugin):
    """Avalanche's, told where the features are."""

    def before_training(self, *_: object, **__: object) -> None:
        pass

    def before_training_exp(self, strategy: Any, **_: object) -> None:
        for model in (strategy.model, self.prev_model):
            if model is not None:
                model.get_features = model.features


def test_lfl_trains_in_eval_mode_fault(kind, benchmark_of, network_for, train_with, watch) -> None:
    for plugin, training in ((_Features(1.0), False), (kind(1.0), True)):
        benchmark, watching = benchmark_of(), watch()
        train_with(network_for(benchmark), benchmark, plugin, watching, experiences=2)
        assert all(watching.training) is training


def test_lfl_freezes_the_head_of_a_task_to_come_fault(kind, benchmark_of, network_for, train_with) -> None:
    for plugin, frozen in ((_Features(1.0), "2"), (kind(1.0), "0")):
        benchmark = benchmark_of("task")
        model = network_for(benchmark, "task")
        train_with(model, benchmark, plugin, experiences=1)
        heads = model.classifier.classifiers
        assert [name for name, head in heads.items() if not head.classifier.weight.requires_grad] == [frozen]


def test_every_step_is_avalanches_otherwise(kind, steps) -> None:
    """Without dropout and batch statistics, modes make no difference."""
    for mine, theirs in zip(steps(kind(3.0)), steps(_Features(3.0)), strict=True):
        torch.testing.assert_close(mine, theirs)


def test_the_penalty_by_hand(kind, benchmark_of, network_for, train_with) -> None:
    benchmark = benchmark_of()
    plugin = kind(3.0)
    strategy = train_with(network_for(benchmark), benchmark, plugin, experiences=1)
    with torch.no_grad():
        strategy.model.features[-2].bias += 1.0  # of the last linear layer
    x = torch.stack([benchmark.train_stream[1].dataset[i][0] for i in range(4)])
    strategy.mbatch = [x]
    strategy.loss = torch.zeros(())
    plugin.before_forward(strategy)
    strategy.model(x)
    plugin.after_forward(strategy)
    plugin.before_backward(strategy)
    distance = (strategy.model.features(x) - plugin.teacher.features(x)).detach()
    assert strategy.loss.item() == pytest.approx(3 * float((distance**2).mean()))
    assert strategy.loss.item() > 0


def test_beside_a_changing_network_it_is_refused_before_training(kind, benchmark_of, network_for, train_with) -> None:
    benchmark = benchmark_of()
    model = network_for(benchmark)
    before = [parameter.clone() for parameter in model.parameters()]
    rule = Rule(when=Every(steps=2), what=Grow(1))
    with pytest.raises(UsageError, match="beside LessForgetfulLearning: it compares each feature"):
        train_with(model, benchmark, kind(1.0), Plasticity(rule))
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))


def test_it_freezes_the_classifier_and_not_heads_to_come(trained: Any) -> None:
    single = trained("lfl", experiences=1).model.classifier
    assert not any(weight.requires_grad for weight in single.parameters())
    heads = trained("lfl", "digits-task", experiences=2).model.classifier.classifiers
    assert [head.classifier.weight.requires_grad for head in heads.values()] == [False, False, True, True, True]
