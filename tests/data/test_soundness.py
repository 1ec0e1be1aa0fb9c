"""A mistake in a user's data is told once, in words, before any run; what can be converted is."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from avalanche.benchmarks import CLScenario, benchmark_from_datasets, class_incremental_benchmark
from avalanche.benchmarks.utils import as_classification_dataset
from torch.utils.data import TensorDataset

from lifelong import UsageError, load_scenario
from lifelong.data.resident import Images, resident_dataset
from lifelong.data.soundness import Expected, check_data
from lifelong.data.streams import benchmark_of
from lifelong.data.task_labels import with_some_task_label

NAME = Expected("mine", (4,))
Split = tuple[torch.Tensor, torch.Tensor]


def samples(*classes: int) -> Split:
    y = torch.tensor(classes).repeat_interleave(3)
    return torch.randn(len(y), 4), y


def stream(train: list[Split], test: list[Split]) -> CLScenario:
    def held(name: str, parts: list[Split]) -> list[tuple[Images, list[int]]]:
        return [(Images(x, y, name=f"{name} {index}"), list(range(len(y)))) for index, (x, y) in enumerate(parts)]

    return benchmark_of({"train": held("train", train), "test": held("test", test)}, "")


def two(change: Callable[[torch.Tensor, torch.Tensor], Split] = lambda x, y: (x, y)) -> CLScenario:
    """Two experiences of two classes, of which the second training set is changed."""
    return stream([samples(0, 1), change(*samples(2, 3))], [samples(0, 1), samples(2, 3)])


def with_value(value: float) -> Callable[[torch.Tensor, torch.Tensor], Split]:
    def change(x: torch.Tensor, y: torch.Tensor) -> Split:
        x[4, 2] = value
        return x, y

    return change


def test_sound_data_pass() -> None:
    check_data(two(), NAME)
    check_data(load_scenario("digits-task"), Expected("digits-task", (1, 8, 8), task_labels=True))


@pytest.mark.parametrize(
    ("benchmark", "told"),
    [
        (lambda: two(with_value(math.nan)), "mine: sample 4 of the images 'train 1' is NaN or infinite"),
        (lambda: two(with_value(-math.inf)), "mine: sample 4 of the images 'train 1' is NaN or infinite"),
        (lambda: two(lambda x, y: (x, y - 3)), "mine, training set of experience 2: a label is -1"),
        (
            lambda: two(lambda x, y: (x, y.float())),
            "training set of experience 2: a label is 2.0, and classes are whole",
        ),
        (lambda: two(lambda x, y: (x, y + 1)), "mine: training sets lack the class 2, and the largest is 4: number"),
        (lambda: two(lambda x, y: (x, y * 0 + 2)), "mine, test set of experience 2: no training set has class 3"),
        (lambda: two(lambda x, y: (x[:, :3], y)), r"have the shape \(3,\), and those before have the shape \(4,\)"),
        (lambda: two(lambda x, y: ((x * 9).byte(), y)), r"samples are uint8, .* for pixels x.float\(\) / 255"),
        (lambda: two(lambda x, y: ((x * 9).int(), y)), "experience 2: samples are int32, and networks take float32"),
    ],
    ids=["nan", "infinity", "negative", "real", "gap", "unseen", "shape", "bytes", "whole"],
)
def test_mistakes_are_told(benchmark: Callable[[], CLScenario], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        check_data(benchmark(), replace(NAME, input_shape=()))


def test_an_experience_without_samples_is_told() -> None:
    images = Images(*samples(0, 1), name="n")
    parts = [resident_dataset(images), resident_dataset(images, [])]
    with pytest.raises(UsageError, match="mine, training set of experience 2: it has no samples"):
        check_data(benchmark_from_datasets(train=parts, test=parts), NAME)


def test_another_shape_than_the_scenario_states_is_told() -> None:
    with pytest.raises(UsageError, match=r"samples have the shape \(4,\), and the scenario states input_shape=\(5,\)"):
        check_data(two(), replace(NAME, input_shape=(5,)))


def test_classes_count_within_each_task() -> None:
    check_data(stream([samples(0, 1), samples(0, 1)], [samples(0), samples(1)]), replace(NAME, task_labels=True))
    with pytest.raises(UsageError, match="the training set of experience 2 lacks the class 0"):
        check_data(two(), replace(NAME, task_labels=True))


def regression(y: Callable[[torch.Tensor], torch.Tensor], outputs: int | None) -> CLScenario:
    def numbers() -> Split:
        x = torch.randn(6, 4)
        return x, y(x)

    benchmark = stream([numbers()], [numbers()])
    if outputs is not None:
        benchmark.outputs = outputs
    return benchmark


@pytest.mark.parametrize(
    ("y", "outputs", "told"),
    [
        (lambda x: x[:, 0], None, "does not say how many numbers it predicts: set benchmark.outputs = 1"),
        (lambda x: x[:, :2], 1, "a sample has 2 targets, and benchmark.outputs is 1"),
        (lambda x: x[:, 0] / 0, 1, "the target of sample 0 of the images 'train 0' is NaN or infinite"),
        (lambda x: (x[:, 0] * 9).int(), 1, "the targets of a regression are int64"),
    ],
)
def test_mistakes_in_a_regression_are_told(
    y: Callable[[torch.Tensor], torch.Tensor], outputs: int | None, told: str
) -> None:
    with pytest.raises(UsageError, match=told):
        check_data(regression(y, outputs), replace(NAME, classifies=False))


def test_a_regression_with_one_or_several_numbers_passes() -> None:
    for y, outputs in ((lambda x: x[:, 0], 1), (lambda x: x[:, :1], 1), (lambda x: x[:, :2], 2)):
        check_data(regression(y, outputs), replace(NAME, classifies=False))


def test_what_can_be_converted_is() -> None:
    images = Images(np.ones((3, 2)), np.array([[1], [0], [1]], dtype=np.uint8), name="n")
    assert (images.x.dtype, images.y.dtype, images.y.shape) == (torch.float32, torch.int64, (3,))
    assert images.targets == [1, 0, 1]
    column = Images(torch.ones(2, 1, dtype=torch.float16), torch.tensor([[0.5], [1.5]], dtype=torch.float64), name="n")
    assert (column.x.dtype, column.y.dtype, column.y.tolist()) == (torch.float32, torch.float32, [0.5, 1.5])


@pytest.mark.parametrize("labels", [["a", "b"], np.array(["a", "b"]), [None, 1]])
def test_labels_that_are_no_numbers_are_refused(labels: object) -> None:
    with pytest.raises(
        UsageError, match=r"the labels of the images 'pets' are .*, and not numbers; number classes from 0"
    ):
        Images(torch.zeros(2, 3), labels, name="pets")  # type: ignore[arg-type]


def plain(y: torch.Tensor) -> CLScenario:
    data = TensorDataset(torch.randn(len(y), 4) + y[:, None], y)
    data.targets = y.tolist()
    both = as_classification_dataset(data)
    return class_incremental_benchmark({"train": both, "test": both}, num_experiences=2, seed=0)


def test_samples_without_a_task_label_get_one() -> None:
    benchmark = plain(torch.arange(40) % 4)
    benchmark.outputs = 4
    labelled = with_some_task_label(benchmark)
    check_data(labelled, NAME)
    assert labelled.outputs == 4
    for before, after in zip(benchmark.train_stream, labelled.train_stream, strict=True):
        assert after.task_labels == [0]
        assert sorted(after.classes_in_this_experience) == sorted(before.classes_in_this_experience)
        x, y, task_label = after.dataset[3]
        assert torch.equal(x, before.dataset[3][0])
        assert (y, task_label) == (before.dataset[3][1], 0)
    given = two()
    assert with_some_task_label(given) is given


def test_what_avalanche_reads_sample_by_sample_is_looked_at_too() -> None:
    x = torch.randn(12, 4)
    x[0, 0] = math.nan
    data = TensorDataset(x, torch.arange(12) % 2)
    data.targets = (torch.arange(12) % 2).tolist()
    benchmark = with_some_task_label(
        benchmark_from_datasets(train=[as_classification_dataset(data)], test=[as_classification_dataset(data)])
    )
    with pytest.raises(UsageError, match="mine, training set of experience 1: samples hold NaN or infinity"):
        check_data(benchmark, NAME)


def test_resident_data_sets_are_left_as_they_are() -> None:
    images = Images(torch.zeros(4, 2), torch.tensor([0, 1, 0, 1]), name="n")
    parts = [resident_dataset(images)]
    benchmark = benchmark_from_datasets(train=parts, test=parts)
    assert with_some_task_label(benchmark).train_stream[0].dataset is parts[0]
