"""Each fault of Avalanche that is worked around is still there, and ours is without it.

A test named `..._fault` fails once Avalanche has mended it: then the workaround can go.
"""

from __future__ import annotations

import pickle
import random
import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import cloudpickle
import numpy as np
import pytest
import torch
from avalanche.benchmarks import CLScenario
from avalanche.benchmarks.utils import DataAttribute
from avalanche.benchmarks.utils.classification_dataset import TaskAwareSupervisedClassificationDataset
from avalanche.core import SupervisedPlugin
from avalanche.evaluation.metrics import accuracy_metrics
from avalanche.models import PNN, IncrementalClassifier, MultiHeadClassifier, MultiTaskModule
from avalanche.training.plugins import (
    AGEMPlugin,
    EvaluationPlugin,
    GDumbPlugin,
)
from avalanche.training.storage_policy import ReservoirSamplingBuffer
from avalanche.training.supervised import JointTraining, Naive
from avalanche.training.supervised.der import ClassBalancedBufferWithLogits
from avalanche.training.templates import SupervisedTemplate
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from lifelong import Setup
from lifelong.contracts import Context
from lifelong.data.images import ImageData, Samples
from lifelong.data.resident import BatchReader
from lifelong.data.streams import StreamKind, make_benchmark
from lifelong.models import build_model
from lifelong.records.spec import Budget
from lifelong.training.evaluation import evaluate
from lifelong.workarounds.evaluating import drop_idle_evaluator, no_evaluator, unchanged_by_evaluation
from lifelong.workarounds.projection import WorkingAGEM
from lifelong.workarounds.rehearsal import FastLogitsBuffer, SortedSet, mix_tasks

CLASSES = 6
BUDGET = Budget(epochs=2, batch_size=4, eval_batch_size=3)


def benchmark_of(kind: StreamKind = "class") -> CLScenario:
    generator = torch.Generator().manual_seed(1)
    data = Samples(torch.randn(CLASSES * 4, 1, 2, 2, generator=generator), torch.arange(CLASSES * 4) % CLASSES)
    return make_benchmark(kind, ImageData(data, data, torch.zeros(1), ""), Context(), experiences=3)


def setup_of(model: nn.Module) -> Setup:
    return Setup(model, torch.optim.SGD(model.parameters(), 0.1, momentum=0.9), BUDGET)


def network(benchmark: CLScenario, kind: StreamKind = "class") -> nn.Module:
    torch.manual_seed(0)
    protocol = "task" if kind == "task" else "class"
    return build_model("mlp", {"widths": [5]}, protocol=protocol, benchmark=benchmark)


# Evaluators


def test_evaluator_without_loggers_fault() -> None:
    with pytest.warns(UserWarning, match="No loggers"):
        EvaluationPlugin()


def test_our_evaluator_is_silent() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not no_evaluator().metrics


def test_idle_evaluator_fault() -> None:
    """It is called back at every step although it has nothing to measure."""
    model = nn.Linear(4, 6)
    strategy = Naive(model=model, optimizer=torch.optim.SGD(model.parameters()), evaluator=no_evaluator())
    assert strategy.evaluator in strategy.plugins
    drop_idle_evaluator(strategy)
    assert strategy.evaluator not in strategy.plugins


def test_an_evaluator_with_something_to_do_stays() -> None:
    model = nn.Linear(4, 6)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="No loggers specified")
        evaluator = EvaluationPlugin(accuracy_metrics(stream=True))
    strategy = Naive(model=model, optimizer=torch.optim.SGD(model.parameters()), evaluator=evaluator)
    drop_idle_evaluator(strategy)
    assert evaluator in strategy.plugins


# Evaluation that leaves no trace


class Growing(nn.Module):
    """Batch statistics, dropout, and a head that grows with the classes that it sees."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(4)
        self.drop = nn.Dropout(0.5)
        self.head = IncrementalClassifier(4, 1)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.drop(self.norm(x.flatten(1))))
        return logits


class Heads(MultiTaskModule):
    def __init__(self) -> None:
        super().__init__()
        self.classifier = MultiHeadClassifier(4, 1, masking=False)

    def forward(self, x: Tensor, task_labels: Tensor) -> Tensor:
        logits: Tensor = self.classifier(x.flatten(1), task_labels)
        return logits


class Columns(PNN):
    """A progressive network: a column for each task, the earlier ones frozen."""

    def __init__(self) -> None:
        super().__init__(num_layers=1, in_features=4, hidden_features_per_column=3)
        self.classifier.masking = False

    def forward_single_task(self, x: Tensor, task_label: int) -> Tensor:
        logits: Tensor = super().forward_single_task(x.flatten(1), task_label)
        return logits


class DrawsWhenEvaluated(SupervisedPlugin):
    def before_eval_forward(self, *_: object, **__: object) -> None:
        torch.rand(1), np.random.rand(), random.random()


GROWING: list[tuple[Callable[[], nn.Module], StreamKind]] = [(Growing, "class"), (Heads, "task"), (Columns, "task")]


def trace(strategy: SupervisedTemplate) -> bytes:
    """All that training can feel: networks, modes, the optimizer, plug-ins, and the generators' states."""
    states = [
        {key: (value.requires_grad, value.tolist()) for key, value in module.state_dict(keep_vars=True).items()}
        for module in (strategy.model, *stored_networks(strategy))
    ]
    modes = [module.training for module in strategy.model.modules()]
    identities = [id(parameter) for parameter in strategy.model.parameters()]
    held = [id(parameter) for group in strategy.optimizer.param_groups for parameter in group["params"]]
    generators = (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist())
    return pickle.dumps((states, modes, identities, held, strategy.optimizer.state_dict(), generators))


def stored_networks(strategy: SupervisedTemplate) -> list[nn.Module]:
    return [value for plugin in strategy.plugins for value in vars(plugin).values() if isinstance(value, nn.Module)]


def trained_once(make: Callable[[], nn.Module], kind: StreamKind, *plugins: SupervisedPlugin) -> tuple[Any, CLScenario]:
    torch.manual_seed(0)
    benchmark = benchmark_of(kind)
    strategy = setup_of(make()).naive(*plugins, DrawsWhenEvaluated())
    strategy.train(benchmark.train_stream[0])
    return strategy, benchmark


@pytest.mark.parametrize(("make", "kind"), GROWING)
def test_evaluation_grows_networks_fault(make: Callable[[], nn.Module], kind: StreamKind) -> None:
    strategy, benchmark = trained_once(make, kind)
    before = sum(parameter.numel() for parameter in strategy.model.parameters())
    strategy.eval(benchmark.test_stream)
    assert sum(parameter.numel() for parameter in strategy.model.parameters()) > before


def test_evaluation_grows_gdumbs_initial_network_fault() -> None:
    plugin = GDumbPlugin(6)
    strategy, benchmark = trained_once(Growing, "class", plugin)
    before = plugin.init_model.head.classifier.out_features
    strategy.eval(benchmark.test_stream)
    assert plugin.init_model.head.classifier.out_features > before


def test_evaluation_draws_random_numbers_fault() -> None:
    benchmark = benchmark_of()
    strategy = setup_of(network(benchmark)).naive()
    state = torch.get_rng_state()
    strategy.eval(benchmark.test_stream)
    assert not torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize("gdumb", [False, True], ids=["plain", "gdumb"])
@pytest.mark.parametrize(("make", "kind"), GROWING)
def test_evaluation_leaves_no_trace(make: Callable[[], nn.Module], kind: StreamKind, gdumb: bool) -> None:
    strategy, benchmark = trained_once(make, kind, *([GDumbPlugin(6)] if gdumb else []))
    model, before = strategy.model, trace(strategy)
    accuracies = evaluate(strategy, benchmark.test_stream)
    assert len(accuracies) == 3
    assert strategy.model is model
    assert trace(strategy) == before
    assert evaluate(strategy, benchmark.test_stream) == accuracies


@pytest.mark.parametrize(("make", "kind"), GROWING)
def test_training_goes_on_as_if_never_evaluated(make: Callable[[], nn.Module], kind: StreamKind) -> None:
    weights = []
    for evaluated in (False, True):
        strategy, benchmark = trained_once(make, kind)
        for experience in benchmark.train_stream[1:]:
            if evaluated:
                evaluate(strategy, benchmark.test_stream)
            strategy.train(experience)
        weights.append([value.tolist() for value in strategy.model.state_dict().values()])
    assert weights[0] == weights[1]


def test_an_evaluation_that_fails_leaves_no_trace() -> None:
    strategy, benchmark = trained_once(Growing, "class")
    plugins, before = list(strategy.plugins), trace(strategy)

    class Fails(SupervisedPlugin):
        def after_eval_forward(self, *_: object, **__: object) -> None:
            raise RuntimeError("in the middle")

    strategy.plugins.append(fails := Fails())
    with pytest.raises(RuntimeError, match="in the middle"):
        evaluate(strategy, benchmark.test_stream)
    strategy.plugins.remove(fails)
    assert strategy.plugins == plugins
    assert trace(strategy) == before
    strategy.train(benchmark.train_stream[1])


def test_accuracies_by_hand() -> None:
    """A network that says 0 is right on class 0 alone."""
    benchmark = benchmark_of()
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, CLASSES))
    with torch.no_grad():
        model[1].weight.zero_()
        model[1].bias.copy_(torch.tensor([1.0, 0, 0, 0, 0, 0]))
    strategy = setup_of(model).naive()
    expected = [0.5 if 0 in e.classes_in_this_experience else 0.0 for e in benchmark.test_stream]
    assert sorted(expected) == [0.0, 0.0, 0.5]
    assert evaluate(strategy, benchmark.test_stream) == expected
    with unchanged_by_evaluation(strategy):
        assert strategy.model is not model


class CountedLoss(nn.CrossEntropyLoss):
    """How often a loss is worked out."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def forward(self, output: Tensor, y: Tensor) -> Tensor:
        self.calls += 1
        return super().forward(output, y)


def test_loss_in_evaluation_fault() -> None:
    """It is worked out for each batch, although nobody asks for it."""
    benchmark = benchmark_of()
    strategy = setup_of(network(benchmark)).naive()
    strategy._criterion = CountedLoss()
    evaluate(strategy, benchmark.test_stream)
    assert strategy._criterion.calls == 0
    strategy.eval(benchmark.test_stream)
    assert strategy._criterion.calls > 0


# A-GEM


def agem_after(experiences: int, plugin: AGEMPlugin, benchmark: CLScenario) -> SupervisedTemplate:
    strategy = setup_of(network(benchmark)).naive(plugin)
    random.seed(0)
    for experience in benchmark.train_stream[:experiences]:
        strategy.train(experience)
    return strategy


def test_pickling_agem_fault() -> None:
    with pytest.raises(TypeError, match="generator"):
        cloudpickle.dumps(agem_after(1, AGEMPlugin(4, 6), benchmark_of()))


def test_agem_goes_on_after_pickling_as_if_never_pickled() -> None:
    benchmark = benchmark_of()
    weights = []
    for pickled in (False, True):
        strategy = agem_after(2, WorkingAGEM(4, 6), benchmark)
        if pickled:
            strategy = cloudpickle.loads(cloudpickle.dumps(strategy))
        torch.manual_seed(7)
        strategy.train(benchmark.train_stream[2])
        weights.append([value.tolist() for value in strategy.model.state_dict().values()])
    assert weights[0] == weights[1]
    cloudpickle.dumps(agem_after(0, WorkingAGEM(4, 6), benchmark))


# Buffers


def test_buffer_with_logits_reads_sample_by_sample_fault() -> None:
    """Ours holds the same samples in the same order."""
    benchmark = benchmark_of()
    strategy = setup_of(network(benchmark)).naive()
    held = []
    for policy in (ClassBalancedBufferWithLogits(10), FastLogitsBuffer(10)):
        torch.manual_seed(0)
        for strategy.experience in benchmark.train_stream:
            policy.update(strategy)
        held.append(policy.buffer)
    assert getattr(held[0], "__getitems__", None) is None
    assert isinstance(held[1], BatchReader)
    batches = [next(iter(DataLoader(buffer, batch_size=10))) for buffer in held]
    assert [len(column) for column in batches[1]] == [10, 10, 10, 10]
    for mine, theirs in zip(*batches, strict=True):
        assert mine.dtype == theirs.dtype
        assert torch.equal(mine, theirs)


def test_an_empty_buffer() -> None:
    assert len(FastLogitsBuffer(10).buffer) == 0


def test_a_buffer_of_other_data_is_left_as_it_is() -> None:
    attributes = [DataAttribute([0, 1, 0], "targets"), DataAttribute([0, 0, 0], "targets_task_labels", True)]
    images = TensorDataset(torch.zeros(3, 2), torch.tensor([0, 1, 0]))
    policy = FastLogitsBuffer(2)
    policy.buffer_groups[0] = ReservoirSamplingBuffer(2)
    policy.buffer_groups[0].update_from_dataset(
        TaskAwareSupervisedClassificationDataset([images], data_attributes=attributes)
    )
    assert len(policy.buffer) == 2
    assert not isinstance(policy.buffer, BatchReader)


def test_agem_reads_its_memory_in_one_order_fault() -> None:
    benchmark = benchmark_of()
    for plugin, drawn_at_random in ((AGEMPlugin(8, 6), False), (WorkingAGEM(8, 6), True)):
        agem_after(1, plugin, benchmark)
        torch.manual_seed(0)
        batches = [plugin.sample_from_memory()[0] for _ in range(8)]
        rounds = {tuple(batch.sum().item() for batch in batches[start : start + 2]) for start in (0, 2, 4, 6)}
        assert (len(rounds) > 1) is drawn_at_random
        assert ({len(batch) for batch in batches} == {6}) is drawn_at_random


def test_agem_takes_more_experiences_than_samples_fault() -> None:
    benchmark = benchmark_of()
    stock = AGEMPlugin(4, 1)
    agem_after(2, stock, benchmark)
    with pytest.raises(ValueError, match="batch_size"):
        stock.sample_from_memory()
    plugin = WorkingAGEM(4, 1)
    agem_after(2, plugin, benchmark)
    assert len(plugin.sample_from_memory()[0]) == 2, "one of each experience"


def test_more_tasks_than_a_batch_has_samples_fault() -> None:
    benchmark = benchmark_of("task")
    setup = replace(setup_of(network(benchmark, "task")), budget=Budget(batch_size=2))
    with pytest.raises(AssertionError):
        setup.make(JointTraining).train(list(benchmark.train_stream))


def test_tasks_are_mixed() -> None:
    benchmark = benchmark_of("task")
    setup = replace(setup_of(network(benchmark, "task")), budget=Budget(batch_size=2))
    seen: list[tuple[float, int]] = []

    class Watch(SupervisedPlugin):
        def before_forward(self, strategy: Any, **_: object) -> None:
            seen.extend(zip(strategy.mb_x[:, 0, 0, 0].tolist(), strategy.mb_task_id.tolist(), strict=True))

    mix_tasks(setup.make(JointTraining, plugins=[Watch()])).train(list(benchmark.train_stream))
    assert len(set(seen)) == len(seen) == CLASSES * 4, "every sample once"
    batches = [{task for _, task in seen[start : start + 2]} for start in range(0, len(seen), 2)]
    assert {len(tasks) for tasks in batches} == {1, 2}


def test_a_sorted_set_is_walked_in_order_after_pickling() -> None:
    members = SortedSet()
    members.update([1000, 3, 256, 0, 77])
    assert list(pickle.loads(pickle.dumps(members))) == list(members) == [0, 3, 77, 256, 1000]
