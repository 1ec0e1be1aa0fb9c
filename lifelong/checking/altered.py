"""Alters a benchmark where a learner must not look: a strategy that does not look gives the same results."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from avalanche.benchmarks import CLScenario
from torch import Tensor

from lifelong.data.drawing import Reader
from lifelong.data.images import Samples
from lifelong.data.resident import Images
from lifelong.data.streams import Streams, benchmark_of, tell_as
from lifelong.seeds import untouched_generators

Alteration = Callable[[str, list[Samples]], list[Samples]]
"""Takes a stream's name and the samples of each of its experiences; returns as many samples to put in their place."""


def altered(benchmark: CLScenario, alteration: Alteration, *, task_labels: bool) -> CLScenario:
    """Return a benchmark of the same sizes and task labels, with other samples.

    Args:
        benchmark: the benchmark to copy; it stays as it is.
        alteration: gives the samples of the copy.
        task_labels: whether each experience's task label is its index; otherwise all are 0.
    """
    streams: Streams = {}
    for name, stream in benchmark.streams.items():
        samples = alteration(name, [_samples(experience.dataset) for experience in stream])
        streams[name] = [
            (Images(x, y, name=f"{name}/{index}"), list(range(len(y)))) for index, (x, y) in enumerate(samples)
        ]
    copy = benchmark_of(streams, getattr(benchmark, "data_sha256", ""), task_labels=task_labels)
    return tell_as(benchmark, copy)


def _samples(dataset: Any) -> Samples:
    with untouched_generators():  # a transform may draw
        x, y, _ = Reader(dataset).batch(range(len(dataset)))
    return Samples(x, y)


def other_tests(stream: str, samples: list[Samples]) -> list[Samples]:
    """Put other images and labels into every stream but the training stream."""
    return samples if stream == "train" else [Samples(-x.flip(0), relabelled(y, samples)) for x, y in samples]


def other_future(stream: str, samples: list[Samples]) -> list[Samples]:
    """Put other images and labels, in another order, into the training stream after its first experience."""
    if stream != "train":
        return samples
    first, *later = samples
    return [first, *(Samples(-x.flip(0), relabelled(y, samples)) for x, y in reversed(later))]


def other_test_labels(stream: str, samples: list[Samples]) -> list[Samples]:
    """Keep the images of the test sets, and give them wrong labels."""
    return [Samples(x, relabelled(y, samples)) for x, y in samples] if stream == "test" else samples


def misplaced_tests(stream: str, samples: list[Samples]) -> list[Samples]:
    """Put the images of each test set in the place of the one before; the labels stay, repeated or cut to fit."""
    if stream != "test":
        return samples
    moved = [*samples[1:], samples[0]]
    return [
        Samples(x, y[torch.arange(len(x), device=y.device) % len(y)])
        for (x, _), (_, y) in zip(moved, samples, strict=True)
    ]


def relabelled(y: Tensor, everywhere: Sequence[Samples]) -> Tensor:
    """Return another label for each sample.

    A class becomes the next class of its experience, or of the stream where the experience has only one; the last
    becomes the first. A value v in [0, 1] becomes 1 - v.

    >>> relabelled(torch.tensor([2, 5, 9]), []).tolist()
    [5, 9, 2]

    Args:
        y: classes, int64, or values, float32, of shape (n,).
        everywhere: the samples of the whole stream.

    Returns:
        Labels of the same type and shape.
    """
    if y.is_floating_point():
        return 1 - y
    classes = torch.unique(y)
    if len(classes) == 1:
        classes = torch.unique(torch.cat([samples.y for samples in everywhere]))
    following: Tensor = classes[(torch.searchsorted(classes, y) + 1) % len(classes)]
    return following
