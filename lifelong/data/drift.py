"""A stream without tasks, whose concept changes at times that nothing but the samples tells of."""

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
"""How one concept follows another, and which."""

CONCEPTS = tuple(dict.fromkeys([FIRST, *(concept for _, concept in TURNS)]))
GRADUAL = 0.5
"""How long a gradual drift takes, as a share of a stationary stretch."""
JITTER = 0.25
"""How far a drift may be from its place, earlier or later, as a share of a stationary stretch."""
LEAST_STEPS = 100


def drifting(
    data: ImageData, context: Context, *, experiences: int, steps: int, batch_size: int, test_samples: int
) -> CLScenario:
    """A stream of one concept after another, cut into experiences of one length.

    The samples of an experience have an order; in another they would show no drift. The training images are passed over
    in a new order as often as it takes. Within a gradual drift the share of samples of the new concept rises evenly.

    Args:
        data: normalized images.
        context: its seed draws everything.
        experiences: into how many the stream is cut; the cuts have nothing to do with the drifts.
        steps: batches in the stream; a multiple of `experiences`, at least 100.
        batch_size: samples in a batch.
        test_samples: images in each experience's test set (at most all of them), shown as the concepts that the
            experience has, in the same shares but for chance.

    Returns:
        A benchmark with `train_stream`, `test_stream`, `data_sha256`, `drifts` (in steps of that batch size) and
        `batch_size`.

    Raises:
        UsageError: if the steps are too few, or do not divide.
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
        "train": _train(_shown(data.train, "train", data, context), chunks, context),
        "test": _test(_shown(data.test, "test", data, context), chunks, context, test_samples),
    }
    benchmark = benchmark_of(streams, data.sha256)
    benchmark.drifts, benchmark.batch_size = drifts, batch_size
    return benchmark


def drifts_of(context: Context, steps: int) -> tuple[Drift, ...]:
    """Where the context's drifts are, in a stream of so many steps: evenly spread, but for chance."""
    lengths = [GRADUAL if kind == "gradual" else 0.0 for kind, _ in TURNS]
    stretch = steps / (len(TURNS) + 1 + sum(lengths))
    shifts = generator(context, "drift times").uniform(-JITTER, JITTER, size=len(TURNS))
    found = []
    for turn, (kind, _) in enumerate(TURNS):
        start = round(stretch * (turn + 1 + sum(lengths[:turn]) + shifts[turn]))
        found.append(Drift(start, start + round(stretch * lengths[turn]), kind))
    return tuple(found)


def _concepts(context: Context, drifts: Sequence[Drift], steps: int, batch_size: int) -> Numbers:
    """For each sample of the stream the number of its concept, of shape (steps * batch_size,)."""
    step = np.repeat(np.arange(steps), batch_size)
    chance = generator(context, "gradual drift").random(len(step))
    concepts = np.zeros(len(step), dtype=np.int64)
    for drift, (_, concept) in zip(drifts, TURNS, strict=True):
        arrived = (step - drift.start + 0.5) / max(drift.end - drift.start, 1)
        turned = (step >= drift.end) | ((step >= drift.start) & (chance < arrived))
        concepts[turned] = CONCEPTS.index(concept)
    return concepts


def _shown(samples: Samples, name: str, data: ImageData, context: Context) -> list[Images]:
    """All samples as each concept shows them."""
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
    """Another label for each class: each takes that of the next one in a random circle."""
    circle = generator(context, "labels").permutation(data.classes)
    labels = np.empty(data.classes, dtype=np.int64)
    labels[circle] = np.roll(circle, 1)
    return torch.from_numpy(labels).to(data.train.y.device)


def _train(shown: list[Images], chunks: Sequence[Numbers], context: Context) -> list[tuple[list[Images], Tensor]]:
    images, total = len(shown[0]), sum(map(len, chunks))
    random = generator(context, "order")
    rows = np.concatenate([random.permutation(images) for _ in range(ceil(total / images))])[:total]
    parts = np.split(rows, np.cumsum([len(chunk) for chunk in chunks])[:-1])
    return [(shown, torch.from_numpy(concepts * images + part)) for concepts, part in zip(chunks, parts, strict=True)]


def _test(
    shown: list[Images], chunks: Sequence[Numbers], context: Context, count: int
) -> list[tuple[list[Images], Tensor]]:
    images = len(shown[0])
    parts = []
    for index, concepts in enumerate(chunks):
        random = generator(context, "test samples", index)
        rows = random.permutation(images)[:count]
        parts.append((shown, torch.from_numpy(random.choice(concepts, size=len(rows)) * images + rows)))
    return parts
