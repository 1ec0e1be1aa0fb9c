"""The same benchmark with other data in places that a learner must not look at."""

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
"""From a stream's name and the samples of each of its experiences to what they are in the twin, as many."""


def twin(benchmark: CLScenario, change: Change, *, task_labels: bool) -> CLScenario:
    """A benchmark of the same sizes and task labels, with other samples.

    Args:
        benchmark: stays as it is.
        change: gives the twin's samples.
        task_labels: whether each experience's task label is its index; else all are 0.
    """
    streams: Streams = {}
    for name, stream in benchmark.streams.items():
        samples = change(name, [_samples(experience.dataset) for experience in stream])
        streams[name] = [
            (Images(x, y, name=f"{name}/{index}"), list(range(len(y)))) for index, (x, y) in enumerate(samples)
        ]
    made = benchmark_of(streams, getattr(benchmark, "data_sha256", ""), task_labels=task_labels)
    for name, value in vars(benchmark).items():
        if name not in vars(made):
            setattr(made, name, value)  # what our scenarios tell besides, as the number of outputs
    return made


def _samples(dataset: Any) -> Samples:
    with untouched_generators():  # a transform may draw
        x, y, _ = Reader(dataset).batch(range(len(dataset)))
    return Samples(x, y)


def other_tests(stream: str, samples: list[Samples]) -> list[Samples]:
    """Other images and labels wherever nothing is trained on."""
    return samples if stream == "train" else [Samples(-x.flip(0), relabelled(y, samples)) for x, y in samples]


def other_future(stream: str, samples: list[Samples]) -> list[Samples]:
    """Other images and labels, in another order, in all that is trained on after the first experience."""
    if stream != "train":
        return samples
    first, *later = samples
    return [first, *(Samples(-x.flip(0), relabelled(y, samples)) for x, y in reversed(later))]


def other_test_labels(stream: str, samples: list[Samples]) -> list[Samples]:
    """The same images to test on, with wrong labels."""
    return [Samples(x, relabelled(y, samples)) for x, y in samples] if stream == "test" else samples


def misplaced_tests(stream: str, samples: list[Samples]) -> list[Samples]:
    """The images of each test set in the place of the one before; labels, and which there are, stay in their places."""
    if stream != "test":
        return samples
    moved = [*samples[1:], samples[0]]
    return [
        Samples(x, y[torch.arange(len(x), device=y.device) % len(y)])
        for (x, _), (_, y) in zip(moved, samples, strict=True)
    ]


def relabelled(y: Tensor, everywhere: Sequence[Samples]) -> Tensor:
    """Another label for each sample: the next one of its experience, or of the stream where it has but one.

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
