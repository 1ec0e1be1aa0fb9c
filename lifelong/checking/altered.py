"""Alters a benchmark: other data stand in places that a learner must not look at."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from avalanche.benchmarks import CLScenario
from torch import Tensor

from lifelong.data.drawing import Reader
from lifelong.data.images import Samples
from lifelong.data.resident import Images
from lifelong.data.streams import Streams, benchmark_of
from lifelong.seeds import untouched_generators

Change = Callable[[str, list[Samples]], list[Samples]]
"""Takes a stream's name and the samples of each of its experiences, and returns as many in their place."""


def altered(benchmark: CLScenario, change: Change, *, task_labels: bool) -> CLScenario:
    """Return a benchmark of the same sizes and task labels, with other samples.

    Args:
        benchmark: stays as it is.
        change: gives the other samples.
        task_labels: whether each experience's task label is its index; else all are 0.
    """
    streams: Streams = {}
    for name, stream in benchmark.streams.items():
        samples = change(name, [_samples(experience.dataset) for experience in stream])
        streams[name] = [
            (Images(x, y, name=f"{name}/{index}"), list(range(len(y)))) for index, (x, y) in enumerate(samples)
        ]
    other = benchmark_of(streams, getattr(benchmark, "data_sha256", ""), task_labels=task_labels)
    for name, value in vars(benchmark).items():
        if name not in vars(other):
            setattr(other, name, value)  # what our scenarios tell besides, such as the number of outputs
    return other


def _samples(dataset: Any) -> Samples:
    with untouched_generators():  # a transform may draw
        x, y, _ = Reader(dataset).batch(range(len(dataset)))
    return Samples(x, y)


def other_tests(stream: str, samples: list[Samples]) -> list[Samples]:
    """Put other images and labels wherever nothing is trained on."""
    return samples if stream == "train" else [Samples(-x.flip(0), relabelled(y, samples)) for x, y in samples]


def other_future(stream: str, samples: list[Samples]) -> list[Samples]:
    """Put other images and labels, in another order, in all experiences that are trained on after the first."""
    if stream != "train":
        return samples
    first, *later = samples
    return [first, *(Samples(-x.flip(0), relabelled(y, samples)) for x, y in reversed(later))]


def other_test_labels(stream: str, samples: list[Samples]) -> list[Samples]:
    """Give the images of the test sets wrong labels."""
    return [Samples(x, relabelled(y, samples)) for x, y in samples] if stream == "test" else samples


def misplaced_tests(stream: str, samples: list[Samples]) -> list[Samples]:
    """Put the images of each test set in the place of those of the test set before it. Labels stay in their places."""
    if stream != "test":
        return samples
    moved = [*samples[1:], samples[0]]
    return [
        Samples(x, y[torch.arange(len(x), device=y.device) % len(y)])
        for (x, _), (_, y) in zip(moved, samples, strict=True)
    ]


def relabelled(y: Tensor, everywhere: Sequence[Samples]) -> Tensor:
    """Return another label for each sample: the next one of its experience, or of the stream if that has only one.

    Args:
        y: classes, int64, or values, float32, of shape (n,).
        everywhere: the samples of the whole stream.
    """
    if y.is_floating_point():
        return 1 - y
    classes = torch.unique(y)
    if len(classes) == 1:
        classes = torch.unique(torch.cat([samples.y for samples in everywhere]))
    following: Tensor = classes[(torch.searchsorted(classes, y) + 1) % len(classes)]
    return following
