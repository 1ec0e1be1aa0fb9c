"""A stream without tasks, whose concept changes at times that only the samples reveal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil

import numpy as np
import numpy.typing as npt
import torch
from avalanche.benchmarks import CLScenario
from torch import Tensor

from lifelong.contracts import Context
from lifelong.data.images import ImageData, Samples
from lifelong.data.resident import Images
from lifelong.data.streams import PixelMap, Streams, benchmark_of, generator, permutation, rotation
from lifelong.errors import UsageError
from lifelong.measures.detection import Drift, DriftKind

Numbers = npt.NDArray[np.int64]

FIRST = "as they are"
TURNS: tuple[tuple[DriftKind, str], ...] = (
    ("abrupt", "permuted"),
    ("gradual", "turned"),
    ("recurring", FIRST),
    ("abrupt", "relabelled"),
    ("gradual", "permuted otherwise"),
    ("recurring", "permuted"),
)
"""The drifts of the stream, in order: how the concept changes, and which one follows."""

CONCEPTS = tuple(dict.fromkeys([FIRST, *(concept for _, concept in TURNS)]))
"""All concepts, in the order of their first appearance; their numbers are indices into it."""
GRADUAL = 0.5
"""The length of a gradual drift, as a share of a stretch between two drifts."""
JITTER = 0.25
"""How much earlier or later than evenly spaced a drift may begin, as a share of a stretch between two drifts."""
LEAST_STEPS = 100
"""The smallest number of steps in a stream."""


def drifting(
    data: ImageData, context: Context, *, experiences: int, steps: int, batch_size: int, test_samples: int
) -> CLScenario:
    """Make a stream of one concept after another, cut into experiences of equal length.

    The samples of an experience have to be trained on in their order; in another order they would show no drift. All
    training images are shown again and again, each time in a new order, until the stream is full. Within a gradual
    drift the share of samples of the new concept rises evenly.

    Args:
        data: normalized images.
        context: the context, from whose seed everything is drawn.
        experiences: the number of experiences that the stream is cut into; the cuts are not where the drifts are.
        steps: the batches in the stream; a multiple of `experiences`, at least 100.
        batch_size: the samples in a batch.
        test_samples: the images in each experience's test set (at most all test images). The concept of each is drawn
            from those of the experience's samples, so that the shares are alike.

    Returns:
        A benchmark with `train_stream`, `test_stream`, `data_sha256`, `drifts` (in steps of that batch size) and
        `batch_size`.

    Raises:
        UsageError: if there are too few steps, or they are no multiple of `experiences`.
    """
    if steps < LEAST_STEPS or steps % experiences:
        nearest = max(ceil(LEAST_STEPS / experiences), round(steps / experiences)) * experiences
        raise UsageError(
            f"steps = {steps} is not a multiple of the {experiences} experiences of at least {LEAST_STEPS}; "
            f"the nearest is {nearest}"
        )
    drifts = drifts_of(context, steps)
    concepts = _concepts(context, drifts, steps, batch_size)
    chunks = np.split(concepts, experiences)
    streams: Streams = {
        "train": _train(_views(data.train, "train", data, context), chunks, context),
        "test": _test(_views(data.test, "test", data, context), chunks, context, test_samples),
    }
    benchmark = benchmark_of(streams, data.sha256)
    benchmark.drifts, benchmark.batch_size = drifts, batch_size
    return benchmark


def drifts_of(context: Context, steps: int) -> tuple[Drift, ...]:
    """Return the drifts of a stream of so many steps. They are evenly spaced, up to a random shift (see `JITTER`)."""
    lengths = [GRADUAL if kind == "gradual" else 0.0 for kind, _ in TURNS]
    stretch = steps / (len(TURNS) + 1 + sum(lengths))
    shifts = generator(context, "drift times").uniform(-JITTER, JITTER, size=len(TURNS))
    drifts = []
    for turn, (kind, _) in enumerate(TURNS):
        start = round(stretch * (turn + 1 + sum(lengths[:turn]) + shifts[turn]))
        drifts.append(Drift(start, start + round(stretch * lengths[turn]), kind))
    return tuple(drifts)


def _concepts(context: Context, drifts: Sequence[Drift], steps: int, batch_size: int) -> Numbers:
    """Return the number of each sample's concept, of shape (steps * batch_size,)."""
    step = np.repeat(np.arange(steps), batch_size)
    chance = generator(context, "gradual drift").random(len(step))
    concepts = np.zeros(len(step), dtype=np.int64)
    for drift, (_, concept) in zip(drifts, TURNS, strict=True):
        arrived = (step - drift.start + 0.5) / max(drift.end - drift.start, 1)
        turned = (step >= drift.end) | ((step >= drift.start) & (chance < arrived))
        concepts[turned] = CONCEPTS.index(concept)
    return concepts


def _views(samples: Samples, name: str, data: ImageData, context: Context) -> list[Images]:
    """Return all samples once for each concept, as it shows them."""
    pixels, labels = _pixel_maps(data, context), _labels(data, context)
    return [
        Images(
            samples.x,
            labels[samples.y] if concept == "relabelled" else samples.y,
            name=f"{name}/{concept}",
            transform=pixels.get(concept),
        )
        for concept in CONCEPTS
    ]


def _pixel_maps(data: ImageData, context: Context) -> Mapping[str, PixelMap | None]:
    height, width = data.train.x.shape[2:]
    return {
        "permuted": permutation(data, context, 1),
        "turned": rotation(90.0, height, width, data.black),
        "permuted otherwise": permutation(data, context, 2),
    }


def _labels(data: ImageData, context: Context) -> Tensor:
    """Return another label for each class, of shape (classes,): that of its neighbour in a random circle of classes."""
    circle = generator(context, "labels").permutation(data.classes)
    labels = np.empty(data.classes, dtype=np.int64)
    labels[circle] = np.roll(circle, 1)
    return torch.from_numpy(labels).to(data.train.y.device)


def _train(views: list[Images], chunks: Sequence[Numbers], context: Context) -> list[tuple[list[Images], Tensor]]:
    images, total = len(views[0]), sum(map(len, chunks))
    random = generator(context, "order")
    rows = np.concatenate([random.permutation(images) for _ in range(ceil(total / images))])[:total]
    parts = np.split(rows, np.cumsum([len(chunk) for chunk in chunks])[:-1])
    return [(views, torch.from_numpy(concepts * images + part)) for concepts, part in zip(chunks, parts, strict=True)]


def _test(
    views: list[Images], chunks: Sequence[Numbers], context: Context, count: int
) -> list[tuple[list[Images], Tensor]]:
    images = len(views[0])
    parts = []
    for index, concepts in enumerate(chunks):
        random = generator(context, "test samples", index)
        rows = random.permutation(images)[:count]
        parts.append((views, torch.from_numpy(random.choice(concepts, size=len(rows)) * images + rows)))
    return parts
