"""From images in memory to real Avalanche benchmarks: three ways to split classes, and two to change pixels.

Experiences hold indices into images that they share. Everything that is random comes from generators of the context's
seed, one for each use, so that a longer stream or a validation split changes no class order; torch's and numpy's global
generators are left alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal
from zlib import crc32

import numpy as np
import torch
from avalanche.benchmarks import CLScenario, benchmark_from_datasets, with_classes_timeline, with_task_labels
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms.functional import rotate

from lifelong.contracts import Context
from lifelong.data.images import ImageData
from lifelong.data.resident import Images, resident_dataset
from lifelong.errors import UsageError

StreamKind = Literal["class", "domain", "task", "permuted", "rotated"]
"""How a data set becomes a stream (see `make_benchmark`)."""

HALF_TURN = 180.0


def make_benchmark(
    kind: StreamKind, data: ImageData, context: Context, *, experiences: int = 5, validation: float = 0.0
) -> CLScenario:
    """A stream of experiences made from one data set.

    Args:
        kind: `class`, `domain` and `task` split the classes (see `split_classes`); `permuted` and `rotated` show all
            classes in every experience, with other pixels (see `permuted_pixels` and `rotated_pixels`).
        data: normalized images.
        context: its seed draws the class order, the permutations and the validation split.
        experiences: length of the stream, at least 1.
        validation: share of each class's training samples in [0, 0.9] that is held out for the stream `valid`.

    Returns:
        A benchmark with `train_stream`, `test_stream`, `valid_stream` where samples are held out, and `data_sha256`.
        The i-th experience of each stream has the same classes.

    Raises:
        UsageError: if a number is out of range; the message names the nearest valid ones.
    """
    if experiences < 1:
        raise UsageError(f"experiences = {experiences}: the least is 1")
    if not 0 <= validation <= 0.9:
        raise UsageError(
            f"validation = {validation} is not in [0, 0.9]; the nearest is {0.9 if validation > 0 else 0.0}"
        )
    if kind == "permuted":
        return permuted_pixels(data, context, experiences, validation)
    if kind == "rotated":
        return rotated_pixels(data, context, experiences, validation)
    return split_classes(kind, data, context, experiences, validation)


def split_classes(
    protocol: Literal["class", "domain", "task"], data: ImageData, context: Context, experiences: int, validation: float
) -> CLScenario:
    """Each experience has as many classes as any other, and no class is in two (van de Ven & Tolias 2019).

    `class`: labels are the data set's own. `task`: they count from zero within each experience, and the task label is
    the experience's index. `domain`: they count from zero within each experience, without a task label (label 0).

    Raises:
        UsageError: if the experiences do not divide the classes, or leave `domain` or `task` one class each.
    """
    _check_divides(experiences, data.classes, smallest=1 if protocol == "class" else 2)
    order = generator(context, "class order").permutation(data.classes).reshape(experiences, -1)
    labels = np.arange(data.classes)
    if protocol != "class":
        labels[order] = np.arange(order.shape[1])
    to_label = torch.from_numpy(labels).to(data.train.y.device)
    images = {
        "train": Images(data.train.x, to_label[data.train.y], name="train"),
        "test": Images(data.test.x, to_label[data.test.y], name="test"),
    }
    groups = [torch.from_numpy(classes) for classes in order]
    streams: Streams = {}
    for name, (split, rows) in _rows(data, validation, context).items():
        samples = data.train if split == "train" else data.test
        classes = samples.y.cpu()[rows]
        streams[name] = [(images[split], rows[torch.isin(classes, group)]) for group in groups]
    return benchmark_of(streams, data.sha256, task_labels=protocol == "task")


def permuted_pixels(data: ImageData, context: Context, experiences: int, validation: float) -> CLScenario:
    """All classes in every experience, with the pixels in another order (Goodfellow et al. 2013, arXiv:1312.6211).

    The first experience shows the images as they are, as in van de Ven & Tolias (2019); each other one has a random
    permutation of its own, the same for all channels and for training and test. Images are not padded.
    """
    transforms = [None, *(permutation(data, context, index) for index in range(1, experiences))]
    return _views(data, transforms, _rows(data, validation, context))


def online_permuted_pixels(data: ImageData, context: Context, experiences: int, samples: int | None) -> CLScenario:
    """All classes in every experience, with the pixels in another order, for streams of hundreds of experiences.

    Each experience has a random permutation of its own, the first too, so that none is easier than another.

    Args:
        data: normalized images.
        context: its seed draws the permutations and the samples.
        experiences: length of the stream, at least 1.
        samples: how many of the training images there are in each experience, the same in all; None for all of them.

    Raises:
        UsageError: if there are fewer images than that.
    """
    images = len(data.train.y)
    if samples is not None and samples > images:
        raise UsageError(f"samples = {samples}: there are {images}")
    chosen = torch.from_numpy(generator(context, "samples").permutation(images)[:samples]).sort().values
    transforms = [permutation(data, context, index) for index in range(experiences)]
    return _views(data, transforms, {"train": ("train", chosen), "test": ("test", torch.arange(len(data.test.y)))})


def rotated_pixels(data: ImageData, context: Context, experiences: int, validation: float) -> CLScenario:
    """All classes in every experience, rotated by a fixed angle (Lopez-Paz & Ranzato 2017, arXiv:1706.08840).

    The angles are evenly spaced from 0 degrees to under 180, counterclockwise: with ten experiences 0, 18, ..., 162.
    As in the source, a pixel takes the value of the nearest one, and the corners become black.
    """
    angles = [HALF_TURN * index / experiences for index in range(experiences)]
    height, width = data.train.x.shape[2:]
    transforms = [rotation(angle, height, width, data.black) for angle in angles]
    return _views(data, transforms, _rows(data, validation, context))


class PixelMap:
    """Shows at each place of an image the pixel of another place, or the background.

    Args:
        source: for each of the height * width places, in rows, the place that its pixel comes from; -1 for background.
        background: value of each channel, of shape (channels,); needed where a source is -1.
    """

    def __init__(self, source: Tensor, background: Tensor | None = None) -> None:
        self.source = source.clamp(min=0)
        self.outside = source < 0
        self.background = background

    def __call__(self, x: Tensor) -> Tensor:
        """The mapped images of a batch of shape (n, channels, height, width)."""
        mapped = x.flatten(2).index_select(2, self.source)
        if self.background is not None:
            mapped = torch.where(self.outside, self.background[:, None], mapped)
        return mapped.view_as(x)


def permutation(data: ImageData, context: Context, index: int) -> PixelMap:
    """The context's `index`-th order of the pixels."""
    source = generator(context, "permutation", index).permutation(data.train.x[0, 0].numel())
    return PixelMap(torch.from_numpy(source).to(data.train.x.device))


def rotation(degrees: float, height: int, width: int, background: Tensor) -> PixelMap | None:
    """torchvision's counterclockwise rotation to the nearest pixel, as a map; None for none.

    With the map worked out once, on an image of the pixels' own numbers, reading a batch costs one indexing operation.
    """
    if degrees == 0:
        return None
    # From one, for torchvision fills with zero; float32 holds such numbers exactly up to 2 ** 24.
    numbers = torch.arange(1, height * width + 1, dtype=torch.float32).view(1, height, width)
    source = rotate(numbers, degrees, InterpolationMode.NEAREST).long().flatten() - 1
    return PixelMap(source.to(background.device), background)


def _views(data: ImageData, transforms: Sequence[PixelMap | None], chosen: Chosen) -> CLScenario:
    """Experiences of the same samples, each seen through one transform. What is held out is so in all of them."""
    whole = {"train": Images(*data.train, name="train"), "test": Images(*data.test, name="test")}
    images = {
        split: [whole[split].view(f"{split}/{i}", transform) for i, transform in enumerate(transforms)]
        for split in whole
    }
    streams: Streams = {}
    for name, (split, rows) in chosen.items():
        shared = rows.tolist()
        streams[name] = [(view, shared) for view in images[split]]
    return benchmark_of(streams, data.sha256)


Chosen = dict[str, tuple[Literal["train", "test"], Tensor]]
"""For each stream by name: the split that its samples come from, and their rows."""

Streams = dict[str, Sequence[tuple[Images | Sequence[Images], Tensor | list[int]]]]
"""For each stream by name, and each of its experiences: images, and the rows of them."""


def benchmark_of(streams: Streams, sha256: str, *, task_labels: bool = False) -> CLScenario:
    """An Avalanche benchmark with task labels, and with what classes there are."""
    datasets = {
        name: [resident_dataset(*part, task_label=index if task_labels else 0) for index, part in enumerate(parts)]
        for name, parts in streams.items()
    }
    benchmark = with_task_labels(with_classes_timeline(benchmark_from_datasets(**datasets)))
    benchmark.data_sha256 = sha256
    return benchmark


def _rows(data: ImageData, validation: float, context: Context) -> Chosen:
    """The rows of a stream of all samples, ascending.

    The same share of each class is held out for validation, and at least one sample.
    """
    y = data.train.y.cpu()
    held_out = torch.zeros(len(y), dtype=torch.bool)
    for label in range(data.classes) if validation else ():
        rows = torch.nonzero(y == label).flatten()
        order = generator(context, "validation", label).permutation(len(rows))
        held_out[rows[order[: max(1, round(validation * len(rows)))]]] = True
    rows_of: Chosen = {
        "train": ("train", torch.nonzero(~held_out).flatten()),
        "test": ("test", torch.arange(len(data.test.y))),
    }
    if validation:
        rows_of["valid"] = ("train", torch.nonzero(held_out).flatten())
    return rows_of


def generator(context: Context, use: str, index: int = 0) -> np.random.Generator:
    """A generator for one use of the seed: the `index`-th permutation, say, is the same in a stream of any length."""
    return np.random.default_rng(np.random.SeedSequence(context.seed, spawn_key=(crc32(use.encode()), index)))


def _check_divides(experiences: int, classes: int, smallest: int) -> None:
    """See that each experience gets as many classes, and at least `smallest`."""
    valid = [number for number in range(1, classes // smallest + 1) if classes % number == 0]
    if experiences in valid:
        return
    below = [number for number in valid if number < experiences][-1:]
    above = [number for number in valid if number > experiences][:1]
    raise UsageError(
        f"experiences = {experiences} does not divide the {classes} classes into parts of at least {smallest}; "
        f"the nearest that {'do are' if below and above else 'does is'} {' and '.join(map(str, below + above))}"
    )
