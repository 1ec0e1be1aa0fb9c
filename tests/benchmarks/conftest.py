"""What the benchmarks share: data of MNIST's shape, the same data in stock Avalanche, fair timing, and a table.

Nothing is asserted of wall-clock times; each figure is printed beside its goal.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from statistics import median
from typing import Any

import pytest
import torch
from avalanche.benchmarks import CLScenario, benchmark_from_datasets, with_classes_timeline, with_task_labels
from avalanche.benchmarks.utils import DataAttribute
from avalanche.benchmarks.utils.classification_dataset import TaskAwareSupervisedClassificationDataset
from rich.console import Console
from rich.table import Table
from torch import nn
from torch.utils.data import TensorDataset

from lifelong.contracts import Context
from lifelong.data.images import ImageData, Samples
from lifelong.data.resident import rows_of
from lifelong.data.streams import make_benchmark

CLASSES, EXPERIENCES = 10, 5


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def _samples(count: int, seed: int) -> Samples:
    generator = torch.Generator().manual_seed(seed)
    return Samples(torch.randn(count, 1, 28, 28, generator=generator), torch.arange(count) % CLASSES)


def _synthetic(train: int, test: int) -> ImageData:
    return ImageData(_samples(train, 1), _samples(test, 2), black=torch.zeros(1), sha256="")


def _tensors(dataset: Any) -> tuple[torch.Tensor, torch.Tensor]:
    rows = rows_of(dataset)
    assert rows is not None
    x, y, _ = rows.batch(range(len(dataset)))
    return x, y


def _stock_dataset(dataset: Any) -> TaskAwareSupervisedClassificationDataset:
    x, y = _tensors(dataset)
    attributes = [
        DataAttribute(y.tolist(), "targets"),
        DataAttribute([0] * len(y), "targets_task_labels", use_in_getitem=True),
    ]
    return TaskAwareSupervisedClassificationDataset([TensorDataset(x, y)], data_attributes=attributes)


def _stock(benchmark: CLScenario) -> CLScenario:
    streams = {name: [_stock_dataset(e.dataset) for e in stream] for name, stream in benchmark.streams.items()}
    return with_task_labels(with_classes_timeline(benchmark_from_datasets(**streams)))


@pytest.fixture
def resident() -> Callable[[int, int], CLScenario]:
    """`(training samples, test samples)` to a class-incremental benchmark of the suite."""
    return lambda train, test: make_benchmark("class", _synthetic(train, test), Context(), experiences=EXPERIENCES)


@pytest.fixture
def stock() -> Callable[[CLScenario], CLScenario]:
    """The same samples as stock Avalanche datasets over `TensorDataset`."""
    return _stock


@pytest.fixture
def tensors() -> Callable[[Any], tuple[torch.Tensor, torch.Tensor]]:
    """The samples of an experience's dataset, as two tensors."""
    return _tensors


@pytest.fixture
def network() -> Callable[[], nn.Module]:
    """A fresh MLP of 784-400-400-10 units, always with the same weights."""

    def make() -> nn.Module:
        torch.manual_seed(0)
        layers = nn.Linear(784, 400), nn.ReLU(), nn.Linear(400, 400), nn.ReLU(), nn.Linear(400, CLASSES)
        return nn.Sequential(nn.Flatten(), *layers)

    return make


Times = dict[str, dict[str, float]]
"""For each contestant, the seconds of each phase."""


def _interleaved(contestants: Mapping[str, Callable[[], Mapping[str, float]]], repeats: int) -> list[Times]:
    """Each contestant's phases in turn, A B C A B C: what slows the machine for a while slows all of them alike."""
    for contestant in contestants.values():
        contestant()
    return [{name: dict(contestant()) for name, contestant in contestants.items()} for _ in range(repeats)]


@pytest.fixture
def interleaved() -> Callable[..., list[Times]]:
    """`(contestants, repeats)` to the times of each repetition, after one that does not count."""
    return _interleaved


@pytest.fixture
def ratio() -> Callable[[Sequence[Times], str, str, str], float]:
    """`(rounds, phase, contestant, base)` to the median over the rounds of contestant / base."""
    return lambda rounds, phase, name, base: median(times[name][phase] / times[base][phase] for times in rounds)


@pytest.fixture
def clock() -> Callable[[Callable[[], object]], float]:
    """The seconds that a call takes."""

    def seconds(call: Callable[[], object]) -> float:
        started = time.perf_counter()
        call()
        return time.perf_counter() - started

    return seconds


@pytest.fixture
def show() -> Callable[[str, Sequence[str], Sequence[Sequence[object]]], None]:
    """Print a table; it says how busy the machine was."""

    def printed(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        load = os.getloadavg()[0]
        table = Table(title=f"{title}\n(load {load:.1f} on {os.cpu_count()} cores)", title_justify="left")
        for index, column in enumerate(columns):
            table.add_column(column, justify="left" if index == 0 else "right")
        for row in rows:
            table.add_row(*(f"{cell:.2f}" if isinstance(cell, float) else str(cell) for cell in row))
        console = Console(width=110)
        console.print()
        console.print(table)

    return printed
