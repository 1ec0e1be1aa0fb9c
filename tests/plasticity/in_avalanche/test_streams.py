"""The plug-in on streams: with boundaries told or hidden, evaluations in between, data drawn at random."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from avalanche.benchmarks import nc_benchmark, split_online_stream
from avalanche.core import SupervisedPlugin
from torch.utils.data import TensorDataset

from lifelong import UsageError
from lifelong.plasticity import Every, Grow, Mark, Plasticity, Rule, TaskArrives
from lifelong.training.evaluation import evaluate


class Curious(SupervisedPlugin):
    """Evaluates on tasks to come in the middle of the first one."""

    def __init__(self, stream):
        super().__init__()
        self.stream = stream

    def after_training_iteration(self, strategy, **_):
        if strategy.clock.train_iterations == 0:
            strategy.eval(self.stream)


def test_heads_that_an_evaluation_inside_training_adds_grow_with_the_rest(made, benchmark, check_parameters):
    """Avalanche's own evaluation gives the network the heads of tasks that it has not been trained on."""
    stream = benchmark(tasks=True).train_stream
    plugin = Plasticity(Rule(when=Every(steps=3), what=Grow(1)))
    strategy = made("Naive", "heads for tasks", "adam", plugin, Curious(stream))
    for number, experience in enumerate(stream):
        strategy.train(experience)
        if number > 0:  # when Avalanche has given the optimizer the new heads
            check_parameters(strategy)
        assert len(strategy.model.classifier.classifiers) == 3
        for head in strategy.model.classifier.classifiers.values():
            assert head.classifier.in_features == 8 + plugin.step // 3
    strategy.eval(stream)


def weights(strategy):
    return [parameter.detach().clone() for parameter in strategy.model.parameters()]


def test_an_evaluation_leaves_no_trace(made, benchmark, rules):
    found = []
    for evaluated in (False, True):
        plugin = Plasticity(*rules())
        strategy = made("EWC", "mlp", "adam", plugin, ewc_lambda=0.5)
        stream = benchmark().train_stream
        for experience in stream:
            strategy.train(experience)
            if evaluated:
                evaluate(strategy, list(stream))
        found.append((weights(strategy), plugin.events))
    assert all(torch.equal(a, b) for a, b in zip(found[0][0], found[1][0], strict=True))
    assert found[0][1] == found[1][1]


def test_looking_at_randomly_transformed_data_draws_nothing(made):
    def noisy(x):
        return x + torch.randn(x.shape)

    class Data(TensorDataset):
        def __getitem__(self, index):
            x, y = super().__getitem__(index)
            return noisy(x), y

    y = torch.arange(6).repeat(8)
    data = Data(torch.rand(48, 1, 4, 4), y)
    data.targets = y.tolist()
    found = []
    for plugins in ([], [Plasticity(Rule(when=Every(steps=10**6), what=Grow(1)))]):
        stream = nc_benchmark(data, data, 3, task_labels=False, seed=1).train_stream
        strategy = made("Naive", "mlp", "sgd", *plugins)
        for experience in stream:
            strategy.train(experience)
        found.append(weights(strategy))
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


@pytest.fixture
def online(benchmark):
    """Make two experiences of five batches each."""
    whole = benchmark(experiences=2, samples=78).train_stream
    return lambda told: split_online_stream(whole, experience_size=8, access_task_boundaries=told)


def test_an_online_stream_that_tells_its_boundaries_tells_those_of_its_tasks(made, online):
    plugin = Plasticity(
        Rule(when=TaskArrives(first=True), what=Mark()),
        Rule(when=Every(experiences=1), what=Mark()),
        Rule(when=Every(epochs=1), what=Mark()),
        Rule(when=Every(steps=1), what=Mark()),
    )
    strategy = made("Naive", "mlp", "sgd", plugin)
    for experience in online(told=True):
        strategy.train(experience)
    seen = [(event.trigger, event.step, event.experience) for event in plugin.events if event.layer == "features.0"]
    arrivals = [(0, 0), (5, 1)]
    ends = [(5, 0), (10, 1)]
    steps = [(step, (step - 1) // 5) for step in range(1, 11)]
    assert [event[1:] for event in seen if event[0] == "task-arrives"] == arrivals
    assert sorted(event[1:] for event in seen if event[0] == "every") == sorted([*ends, *ends, *steps])


def test_an_online_stream_that_hides_its_boundaries_tells_of_updates_only(made, check_parameters, online):
    plugin = Plasticity(Rule(when=Every(steps=2), what=Grow(1)))
    strategy = made("Naive", "mlp", "sgd", plugin)
    for experience in online(told=False):
        strategy.train(experience)
        check_parameters(strategy)
    assert plugin.boundaries is False
    assert plugin.step == 10
    assert strategy.model.features[0].out_features == 8 + 5


@pytest.mark.parametrize(
    "rule",
    [
        Rule(when=TaskArrives(), what=Grow(1)),
        Rule(when=Every(epochs=1), what=Grow(1)),
        Rule(when=Every(steps=1).cooldown(experiences=1), what=Grow(1)),
    ],
)
def test_rules_that_need_hidden_boundaries_are_refused_before_the_first_update(rule, made, online):
    plugin = Plasticity(rule)
    strategy = made("Naive", "mlp", "sgd", plugin)
    before = weights(strategy)
    with pytest.raises(UsageError, match="task boundaries, which this stream does not give"):
        strategy.train(next(iter(online(told=False))))
    assert plugin.step == 0
    assert all(torch.equal(a, b) for a, b in zip(before, weights(strategy), strict=True))


def test_boundaries_cannot_be_had_where_they_are_hidden(made, online):
    strategy = made("Naive", "mlp", "sgd", Plasticity(Rule(when=Every(steps=1), what=Grow(1)), boundaries=True))
    with pytest.raises(UsageError, match="hides its boundaries"):
        strategy.train(next(iter(online(told=False))))


def test_an_experience_of_one_batch_looks_at_the_data_once(monkeypatch, made, online):
    """On a stream of many small experiences the network is analysed once, and an example is read once."""
    from lifelong.plasticity import plugin as module

    calls: Counter[str] = Counter()

    def counted(name):
        function = getattr(module, name)

        def count(*arguments):
            calls[name] += 1
            return function(*arguments)

        monkeypatch.setattr(module, name, count)

    counted("example_inputs")
    counted("structure_of")
    strategy = made("Naive", "mlp", "sgd", Plasticity(Rule(when=Every(steps=3), what=Grow(1))))
    for experience in online(told=False):
        strategy.train(experience)
    assert calls == {"example_inputs": 1, "structure_of": 1}
