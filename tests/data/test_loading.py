"""Reading by the batch changes nothing but the time: every batch, loss and output is what stock Avalanche gives."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from itertools import islice
from typing import Any

import cloudpickle
import pytest
import torch
from avalanche.benchmarks import CLScenario, benchmark_from_datasets, with_classes_timeline, with_task_labels
from avalanche.benchmarks.utils import AvalancheDataset, DataAttribute
from avalanche.benchmarks.utils.classification_dataset import TaskAwareSupervisedClassificationDataset
from avalanche.benchmarks.utils.data_loader import (
    GroupBalancedDataLoader,
    GroupBalancedInfiniteDataLoader,
    MultiDatasetDataLoader,
    ReplayDataLoader,
    TaskBalancedDataLoader,
)
from avalanche.core import SupervisedPlugin
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset, default_collate

from lifelong import Setup
from lifelong.contracts import Context
from lifelong.data.images import ImageData, Samples
from lifelong.data.loading import ResidentLoading, read_by_batch
from lifelong.data.resident import BatchReader
from lifelong.data.streams import StreamKind, make_benchmark
from lifelong.models import build_model
from lifelong.plasticity.inputs import example_inputs
from lifelong.records.spec import Budget
from lifelong.registry import strategies
from lifelong.seeds import RandomState, seed_everything
from lifelong.training.setup import make_optimizer

CLASSES, TRAIN, TEST = 6, 7, 3
SMALL: dict[str, float] = {"mem_size": 12, "batch_size_mem": 5, "patterns_per_exp": 4, "sample_size": 6}
SMALL |= {"ewc_lambda": 1.0, "si_lambda": 1.0, "lambda_reg": 1.0}
"""Parameters by which memories are smaller than the data, and larger than a batch, and penalties stay finite."""

SETTINGS = [
    pytest.param(name, kind, id=f"{name}-{kind}")
    for name, entry in strategies.all().items()
    for kind in ("class", "task", "permuted")
    if ("single head" if kind == "task" else "task labels") not in entry.needs
    if "of" not in entry.parameters  # controls of another strategy, which they train on a board's stream
    if "pretrained" not in entry.parameters
]


def samples(count: int, seed: int) -> Samples:
    generator = torch.Generator().manual_seed(seed)
    return Samples(torch.randn(CLASSES * count, 1, 4, 4, generator=generator), torch.arange(CLASSES * count) % CLASSES)


DATA = ImageData(samples(TRAIN, 1), samples(TEST, 2), black=torch.zeros(1), sha256="")


def fast(kind: StreamKind) -> CLScenario:
    return make_benchmark(kind, DATA, Context(seed=3), experiences=3)


def stock_dataset(dataset: Any) -> TaskAwareSupervisedClassificationDataset:
    """The same samples in nothing of ours: a `TensorDataset` and Avalanche's attributes."""
    x, y, task = zip(*(dataset[position] for position in range(len(dataset))), strict=True)
    return TaskAwareSupervisedClassificationDataset(
        [TensorDataset(torch.stack(x), torch.tensor(y))],
        data_attributes=[
            DataAttribute(list(y), "targets"),
            DataAttribute(list(task), "targets_task_labels", use_in_getitem=True),
        ],
    )


def stock(benchmark: CLScenario) -> CLScenario:
    streams = {name: [stock_dataset(e.dataset) for e in stream] for name, stream in benchmark.streams.items()}
    return with_task_labels(with_classes_timeline(benchmark_from_datasets(**streams)))


class Recorder(SupervisedPlugin):
    """Every batch that is trained on, every loss and every output."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[list[Tensor]] = []
        self.losses: list[Tensor] = []
        self.outputs: list[Tensor] = []

    def after_training_iteration(self, strategy: Any, **_: object) -> None:
        self.batches.append([column.clone() for column in strategy.mbatch])
        self.losses.append(strategy.loss.detach().clone())

    def after_eval_iteration(self, strategy: Any, **_: object) -> None:
        self.outputs.append(strategy.mb_output.clone())


def small_parameters(name: str) -> dict[str, float]:
    return {parameter: SMALL[parameter] for parameter in strategies.get(name).parameters if parameter in SMALL}


def train(name: str, kind: StreamKind, benchmark: CLScenario, *, by_batch: bool) -> tuple[Recorder, Any]:
    """Train on each experience and evaluate on all after each."""
    entry = strategies.get(name)
    budget = Budget(epochs=2, batch_size=5, eval_batch_size=4, lr=0.05, momentum=0.9)
    protocol = "task" if kind == "task" else "class"
    seed_everything(0, "initial weights")
    model = build_model("mlp", {"widths": [8, 8]}, protocol=protocol, benchmark=benchmark)
    seed_everything(0, "training")
    inputs = example_inputs(model, benchmark.train_stream[0].dataset, "cpu")
    setup = Setup(model, make_optimizer(model, budget), budget, experiences=len(benchmark.train_stream), inputs=inputs)
    strategy = entry(setup, **small_parameters(name))
    if not by_batch:
        strategy.plugins = [plugin for plugin in strategy.plugins if not isinstance(plugin, ResidentLoading)]
    recorder = Recorder()
    strategy.plugins.append(recorder)
    stream = list(benchmark.train_stream)
    for step in [stream] if entry.offline else stream:
        strategy.train(step)
        strategy.eval(benchmark.test_stream)
    return recorder, strategy


def same(ours: Iterable[Any], theirs: Iterable[Any]) -> None:
    """Equal bit for bit, in values and in types."""
    for mine, yours in zip(ours, theirs, strict=True):
        if isinstance(mine, Tensor):
            assert mine.dtype == yours.dtype
            assert torch.equal(mine, yours)
        elif isinstance(mine, list | tuple):
            same(mine, yours)
        else:
            assert type(mine) is type(yours)
            assert mine == yours


@dataclass(frozen=True)
class Trained:
    """A training by the batch: what it came to, the random state after it, and the samples read one at a time."""

    recorder: Recorder
    after: RandomState
    reads: list[int]


@cache  # two tests look at each
def trained(name: str, kind: StreamKind) -> Trained:
    benchmark = fast(kind)
    reads: list[int] = []
    original = AvalancheDataset.__getitem__

    def counting(self: AvalancheDataset[Any], index: Any) -> Any:
        reads.append(index)
        return original(self, index)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(AvalancheDataset, "__getitem__", counting)
        recorder, _ = train(name, kind, benchmark, by_batch=True)
    return Trained(recorder, RandomState.now(), reads)


@pytest.mark.parametrize(("name", "kind"), SETTINGS)
def test_every_strategy_trains_as_in_stock_avalanche(name: str, kind: StreamKind) -> None:
    ours, after = trained(name, kind).recorder, trained(name, kind).after
    theirs, _ = train(name, kind, stock(fast(kind)), by_batch=False)
    assert ours.outputs
    assert all(torch.isfinite(loss) for loss in ours.losses)
    same(ours.batches, theirs.batches)
    same(ours.losses, theirs.losses)
    same(ours.outputs, theirs.outputs)
    assert torch.equal(after.cpu, RandomState.now().cpu)
    assert after.python == RandomState.now().python


@pytest.mark.parametrize(("name", "kind"), SETTINGS)
def test_no_strategy_reads_sample_by_sample(name: str, kind: StreamKind) -> None:
    if name == "feature-replay":
        pytest.skip("Avalanche stores its features one by one, once for each experience")
    assert not trained(name, kind).reads


LOADERS: dict[str, Callable[[list[Any]], MultiDatasetDataLoader]] = {
    "shuffled": lambda parts: TaskBalancedDataLoader(parts[0], batch_size=4, shuffle=True),
    "in order": lambda parts: TaskBalancedDataLoader(parts[0], batch_size=4),
    "in order, drop_last": lambda parts: TaskBalancedDataLoader(parts[0], batch_size=4, drop_last=True),
    "shuffled, drop_last": lambda parts: TaskBalancedDataLoader(parts[0], batch_size=4, shuffle=True, drop_last=True),
    "one batch": lambda parts: TaskBalancedDataLoader(parts[0], batch_size=100),
    "of tasks": lambda parts: TaskBalancedDataLoader(parts[0].concat(parts[1]), batch_size=5, shuffle=True),
    "of groups": lambda parts: GroupBalancedDataLoader(parts, batch_size=7, shuffle=True),
    "of groups, oversampled": lambda parts: GroupBalancedDataLoader(
        [parts[0], parts[1].subset([0, 1, 2])], batch_size=4, oversample_small_groups=True, shuffle=True
    ),
    "never-ending": lambda parts: GroupBalancedInfiniteDataLoader(parts, batch_size=3, shuffle=True),
    "never-ending, in order": lambda parts: GroupBalancedInfiniteDataLoader(parts, batch_size=3),
    "replay": lambda parts: ReplayDataLoader(
        parts[0], parts[1].concat(parts[2]).subset([5, 20, 3, 3, 17]), batch_size=4, batch_size_mem=2, shuffle=True
    ),
}


@pytest.mark.parametrize("kind", ["class", "permuted"])
@pytest.mark.parametrize("case", LOADERS)
def test_every_loader_gives_stock_batches(case: str, kind: StreamKind) -> None:
    parts = [experience.dataset for experience in fast(kind).train_stream]
    ours, theirs = LOADERS[case](parts), LOADERS[case]([stock_dataset(part) for part in parts])
    assert read_by_batch(ours)
    assert not read_by_batch(theirs)
    assert len(ours) == len(theirs)
    epochs = []
    for loader in (ours, theirs):
        torch.manual_seed(5)
        epochs.append([list(islice(loader, 30)) for _ in range(3)])
    assert len(epochs[0][0]) > 0
    same(epochs[0], epochs[1])


def negative(x: Tensor) -> Tensor:
    return -x


def noisy(x: Tensor) -> Tensor:
    return x + torch.randn_like(x)


def transformed(dataset: Any, transform: Callable[[Tensor], Tensor]) -> Any:
    """Changed in training only, as an augmentation is."""
    return type(dataset)([dataset], transform_groups={"train": transform, "eval": None})


@pytest.mark.parametrize("transform", [negative, noisy])
def test_transformed_data_is_left_to_avalanche(transform: Callable[[Tensor], Tensor]) -> None:
    plain = fast("class").train_stream[0].dataset
    ours, theirs = transformed(plain, transform), transformed(stock_dataset(plain), transform)
    epochs = []
    for dataset in (ours, theirs):
        loader = TaskBalancedDataLoader(dataset, batch_size=4, shuffle=True)
        assert not read_by_batch(loader)
        torch.manual_seed(5)
        epochs.append(list(loader))
    same(epochs[0], epochs[1])
    pixels = [torch.cat([x for x, *_ in batches]).flatten().sort().values for batches in (epochs[0], DataLoader(plain))]
    assert not torch.equal(*pixels), "the transform was applied"


def test_augmentation_in_training_leaves_evaluation_fast() -> None:
    dataset = transformed(fast("class").train_stream[0].dataset, negative)
    assert not read_by_batch(TaskBalancedDataLoader(dataset.train(), batch_size=4))
    loader = TaskBalancedDataLoader(dataset.eval(), batch_size=4)
    assert read_by_batch(loader)
    same(list(loader), list(DataLoader(stock_dataset(fast("class").train_stream[0].dataset), batch_size=4)))


def test_a_collating_function_of_ones_own_gets_its_samples() -> None:
    def flipped(batch: list[Any]) -> Any:
        return default_collate([(-x, y, t) for x, y, t in batch])

    dataset = fast("class").train_stream[0].dataset
    loader = TaskBalancedDataLoader(dataset, batch_size=4, collate_fn=flipped)
    assert not read_by_batch(loader)
    same([-x for x, *_ in loader], [x for x, *_ in DataLoader(stock_dataset(dataset), batch_size=4)])


def test_data_that_is_partly_elsewhere_is_left_to_avalanche() -> None:
    parts = [experience.dataset for experience in fast("class").train_stream]
    mixed = GroupBalancedDataLoader([parts[0], stock_dataset(parts[1])], batch_size=4)
    assert not read_by_batch(mixed)
    same(list(mixed), list(GroupBalancedDataLoader([stock_dataset(part) for part in parts[:2]], batch_size=4)))


def test_a_loader_can_be_pickled_once_it_reads_by_the_batch() -> None:
    loader = TaskBalancedDataLoader(fast("class").train_stream[0].dataset, batch_size=4)
    read_by_batch(loader)
    again = cloudpickle.loads(cloudpickle.dumps(loader))
    same(list(again), list(loader))


def test_the_plug_in_finds_the_loaders_of_other_plug_ins() -> None:
    """A-GEM's memory, replay's mixed batches, and that of DER, which uses torch's own loader."""
    benchmark = fast("class")
    _, agem = train("agem", "class", benchmark, by_batch=True)
    plugin = next(plugin for plugin in agem.plugins if hasattr(plugin, "buffer_dataloader"))
    ResidentLoading().before_training_exp(agem)
    assert "_get_loader" in vars(plugin.buffer_dataloader)
    _, strategy = train("der", "class", benchmark, by_batch=True)
    assert isinstance(strategy.storage_policy.buffer, BatchReader)
    deepcopy(strategy.storage_policy)
