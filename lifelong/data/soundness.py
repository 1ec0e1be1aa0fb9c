"""Checks a benchmark's data before any run, so that a mistake in them is told once, in words, and not by torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from avalanche.benchmarks import CLExperience, CLScenario
from torch import Tensor

from lifelong.data.drawing import Reader
from lifelong.data.resident import images_of
from lifelong.errors import UsageError
from lifelong.seeds import untouched_generators

LOOKED_AT = 64
"""The number of samples of an experience that are read. Of `Images`, which lie in memory, all values are looked at."""


@dataclass(frozen=True)
class Expected:
    """What a scenario says of its data.

    Attributes:
        name: the scenario's name, for messages.
        input_shape: the shape of a sample; empty where it is not stated.
        classifies: whether targets are classes; else they are numbers.
        task_labels: whether each task has classes of its own, which count from zero.
    """

    name: str
    input_shape: tuple[int, ...] = ()
    classifies: bool = True
    task_labels: bool = False


def check_data(benchmark: CLScenario, expected: Expected) -> None:
    """Check that a network can be trained on a benchmark's data, and that its answers can be scored.

    Args:
        benchmark: a benchmark with the streams `train` and `test`.
        expected: what the scenario says of them.

    Raises:
        UsageError: if it cannot; the message names the experience, the first sample concerned, and how to mend it.
    """
    outputs: int | None = getattr(benchmark, "outputs", None)
    if not expected.classifies and outputs is None:
        raise UsageError(
            f"{expected.name} is a regression that does not say how many numbers it predicts: set benchmark.outputs = 1"
        )
    _check_images(benchmark, expected.name)
    shape = expected.input_shape
    classes: dict[str, list[set[int]]] = {"train": [], "test": []}
    for stream, word in (("train", "training set"), ("test", "test set")):
        for number, experience in enumerate(benchmark.streams[stream], start=1):
            where = f"{expected.name}, {word} of experience {number}"
            x, y = _some_samples(experience, where)
            _check_inputs(x, where, shape, stated=shape == expected.input_shape)
            shape = tuple(x.shape[1:])
            if expected.classifies:
                classes[stream].append(_classes(experience.dataset, where))
            else:
                _check_targets(y, where, outputs)
    if expected.classifies:
        _check_classes(classes["train"], classes["test"], expected)


def _some_samples(experience: CLExperience, where: str) -> tuple[Tensor, Tensor]:
    """Return inputs and targets of some samples, evenly spaced over an experience.

    Raises:
        UsageError: if there are none, or they cannot be joined to a batch.
    """
    dataset: Any = experience.dataset
    if not len(dataset):
        raise UsageError(f"{where}: it has no samples")
    positions = torch.linspace(0, len(dataset) - 1, min(LOOKED_AT, len(dataset))).long().tolist()
    with untouched_generators():  # a transform may draw
        try:
            x, y, *_ = Reader(dataset).batch(positions)
            return torch.as_tensor(x), torch.as_tensor(y)
        except (RuntimeError, TypeError, ValueError) as error:
            told = next(iter(str(error).strip().splitlines()), type(error).__name__)
            raise UsageError(f"{where}: its samples cannot be joined to a batch: {told}") from None


def _check_images(benchmark: CLScenario, name: str) -> None:
    seen: set[int] = set()
    for images in images_of(benchmark).values():
        for what, values in (("", images.x), ("the target of ", images.y)):
            if not values.is_floating_point() or values.data_ptr() in seen:
                continue
            seen.add(values.data_ptr())  # views share their tensors
            finite = torch.isfinite(values.reshape(len(values), -1)).all(dim=1)
            if not finite.all():
                bad = (~finite).nonzero().flatten().tolist()
                raise UsageError(
                    f"{name}: {what}sample {bad[0]} of the images {images.name!r} is NaN or infinite, "
                    f"as are {len(bad) - 1} others; leave such samples out, or put a number in their place"
                )


def _check_inputs(x: Tensor, where: str, shape: tuple[int, ...], stated: bool) -> None:
    if x.dtype not in (torch.float32, torch.float16, torch.bfloat16):
        scaled = ", for pixels x.float() / 255" if x.dtype is torch.uint8 else ""
        raise UsageError(f"{where}: samples are {_dtype(x)}, and networks take float32: write x.float(){scaled}")
    own = tuple(x.shape[1:])
    if shape and own != shape:
        said = f"the scenario states input_shape={shape}" if stated else f"those before have the shape {shape}"
        raise UsageError(f"{where}: samples have the shape {own}, and {said}")
    if not torch.isfinite(x).all():
        raise UsageError(f"{where}: samples hold NaN or infinity")


def _classes(dataset: Any, where: str) -> set[int]:
    """Return the classes in a data set.

    Raises:
        UsageError: if a label is no whole number of at least 0.
    """
    found = set()
    for label in dataset.targets.uniques if hasattr(dataset.targets, "uniques") else set(dataset.targets):
        value = label.item() if isinstance(label, Tensor) else label
        if isinstance(value, float) or not hasattr(value, "__index__"):
            raise UsageError(
                f"{where}: a label is {value!r}, and classes are whole numbers from 0; for a regression say "
                'criterion="squared error"'
            )
        if value < 0:
            raise UsageError(f"{where}: a label is {value}, and classes are whole numbers from 0")
        found.add(int(value))
    return found


def _check_classes(train: list[set[int]], test: list[set[int]], expected: Expected) -> None:
    everywhere = set().union(*train)
    for number, classes in enumerate(train if expected.task_labels else [everywhere], start=1):
        if missing := sorted(set(range(max(classes) + 1)) - classes):
            where = f"the training set of experience {number} lacks" if expected.task_labels else "training sets lack"
            raise UsageError(
                f"{expected.name}: {where} the class {missing[0]}, and the largest is {max(classes)}: number classes "
                "from 0 without gaps, for example y = torch.unique(y, return_inverse=True)[1]"
            )
    for number, classes in enumerate(test, start=1):
        known = train[number - 1] if expected.task_labels and number <= len(train) else everywhere
        if unseen := sorted(classes - known):
            raise UsageError(f"{expected.name}, test set of experience {number}: no training set has class {unseen[0]}")


def _check_targets(y: Tensor, where: str, outputs: int | None) -> None:
    if not y.is_floating_point():
        raise UsageError(f"{where}: the targets of a regression are {_dtype(y)}: write y.float()")
    numbers = y[0].numel()
    if numbers != outputs:
        raise UsageError(f"{where}: a sample has {numbers} targets, and benchmark.outputs is {outputs}")


def _dtype(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")
