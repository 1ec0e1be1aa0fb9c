"""From images in memory to real Avalanche benchmarks: three ways to split classes, and two to change pixels.

Experiences hold indices into images that they share. Everything random is drawn from generators of the context's seed.
Each use has its own, so that a longer stream or a validation split does not change the class order. The global
generators of torch and numpy are not used.
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
    """Make a stream of experiences from one data set.

    Args:
        kind: the kind of stream. `class`, `domain` and `task` split the classes (see `split_classes`); `permuted` and
            `rotated` show all classes in every experience, with other pixels (see `permuted_pixels` and
            `rotated_pixels`).
        data: normalized images.
        context: the context, from whose seed the class order, the permutations and the validation split are drawn.
        experiences: the length of the stream, at least 1.
        validation: the share of each class's training samples, in [0, 0.9], that is held out for the stream `valid`.

    Returns:
        A benchmark with `train_stream`, `test_stream`, `data_sha256`, and `valid_stream` where samples are held out.
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
    """Make a stream that splits the classes (van de Ven & Tolias 2019).

    Every experience has equally many classes, and no class is in two experiences.

    - `class`: the labels are the data set's own.
    - `task`: the labels count from zero within each experience, and the task label is the experience's index.
    - `domain`: the labels count from zero within each experience, and there is no task label (it is 0 throughout).

    Args:
        protocol: which of the three.
        data: normalized images.
        context: the context, from whose seed the class order and the validation split are drawn.
        experiences: the length of the stream, which divides the number of classes.
        validation: the share of each class's training samples, in [0, 0.9], that is held out for the stream `valid`.

    Raises:
        UsageError: if the classes cannot be split so, or if `domain` or `task` would have one class in an experience.
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
    """Make a stream of all classes, with the pixels in another order (Goodfellow et al. 2013, arXiv:1312.6211).

    The first experience shows the images as they are, as in van de Ven & Tolias (2019). Each other experience has its
    own random permutation, the same for all channels and for training and test. Images are not padded.
    """
    transforms = [None, *(permutation(data, context, index) for index in range(1, experiences))]
    return _views(data, transforms, _rows(data, validation, context))


def online_permuted_pixels(data: ImageData, context: Context, experiences: int, samples: int | None) -> CLScenario:
    """Make a stream of all classes, with the pixels in another order, of up to hundreds of experiences.

    Each experience has its own random permutation, the first one too, so that none is easier than another.

    Args:
        data: normalized images.
        context: the context, from whose seed the permutations and the samples are drawn.
        experiences: the length of the stream, at least 1.
        samples: how many training images every experience has, the same images in all; None for all training images.

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
    """Make a stream of all classes, rotated by an angle (Lopez-Paz & Ranzato 2017, arXiv:1706.08840).

    The angles are counterclockwise and evenly spaced from 0 to less than 180 degrees: 0, 18, ..., 162 for ten
    experiences. As in the source, a pixel takes the value of the nearest one, and the corners become black.
    """
    angles = [HALF_TURN * index / experiences for index in range(experiences)]
    height, width = data.train.x.shape[2:]
    transforms = [rotation(angle, height, width, data.black) for angle in angles]
    return _views(data, transforms, _rows(data, validation, context))


class PixelMap:
    """Shows at each place of an image the pixel of another place, or the background.

    >>> swap = PixelMap(torch.tensor([1, 0, -1]), background=torch.tensor([9.0]))
    >>> swap(torch.tensor([[[[5.0, 6.0, 7.0]]]]))
    tensor([[[[6., 5., 9.]]]])

    Args:
        source: the place that the pixel of each place comes from, int64, of shape (height * width,); -1 stands for the
            background. Places are numbered row by row.
        background: the background's value in each channel, of shape (channels,); needed where a source is -1.
    """

    def __init__(self, source: Tensor, background: Tensor | None = None) -> None:
        self.source = source.clamp(min=0)
        self.outside = source < 0
        self.background = background

    def __call__(self, x: Tensor) -> Tensor:
        """Return the mapped images of a batch of shape (n, channels, height, width)."""
        mapped = x.flatten(2).index_select(2, self.source)
        if self.background is not None:
            mapped = torch.where(self.outside, self.background[:, None], mapped)
        return mapped.view_as(x)


def permutation(data: ImageData, context: Context, index: int) -> PixelMap:
    """Return the `index`-th random order of the pixels that the context's seed gives."""
    source = generator(context, "permutation", index).permutation(data.train.x[0, 0].numel())
    return PixelMap(torch.from_numpy(source).to(data.train.x.device))


def rotation(degrees: float, height: int, width: int, background: Tensor) -> PixelMap | None:
    """Return torchvision's rotation to the nearest pixel as a map, so that reading a batch is one indexing operation.

    Args:
        degrees: the angle, counterclockwise.
        height: the height of the images, in pixels.
        width: the width of the images, in pixels.
        background: the value of each channel where no pixel is, of shape (channels,).

    Returns:
        The map; None for an angle of 0.
    """
    if degrees == 0:
        return None
    # torchvision rotates an image of the pixels' own numbers. These start from one, because it fills with zero, and
    # float32 holds them exactly up to 2 ** 24.
    numbers = torch.arange(1, height * width + 1, dtype=torch.float32).view(1, height, width)
    source = rotate(numbers, degrees, InterpolationMode.NEAREST).long().flatten() - 1
    return PixelMap(source.to(background.device), background)


def _views(data: ImageData, transforms: Sequence[PixelMap | None], chosen: Chosen) -> CLScenario:
    """Make a stream in which each experience shows the same samples through its own transform."""
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
"""For each stream, by name: the split that its samples come from, and their rows, int64, of shape (n,)."""

Streams = dict[str, Sequence[tuple[Images | Sequence[Images], Tensor | list[int]]]]
"""For each stream, by name, and each of its experiences: the images, and which rows of them it has."""


def tell_as(benchmark: CLScenario, copy: CLScenario) -> CLScenario:
    """Let a copy of a benchmark tell what the benchmark tells beside its streams, such as the number of outputs."""
    for name, value in vars(benchmark).items():
        if name not in vars(copy):
            setattr(copy, name, value)
    return copy


def benchmark_of(streams: Streams, sha256: str, *, task_labels: bool = False) -> CLScenario:
    """Make an Avalanche benchmark.

    Args:
        streams: what its streams show.
        sha256: the hash of the data.
        task_labels: whether the task label is the experience's index; otherwise it is 0 throughout.
    """
    datasets = {
        name: [resident_dataset(*part, task_label=index if task_labels else 0) for index, part in enumerate(parts)]
        for name, parts in streams.items()
    }
    benchmark = with_task_labels(with_classes_timeline(benchmark_from_datasets(**datasets)))
    benchmark.data_sha256 = sha256
    return benchmark


def _rows(data: ImageData, validation: float, context: Context) -> Chosen:
    """Choose the rows of each stream, in ascending order.

    The same share of each class is held out for validation, but at least one sample of it.
    """
    y = data.train.y.cpu()
    held_out = torch.zeros(len(y), dtype=torch.bool)
    for label in range(data.classes) if validation else ():
        rows = torch.nonzero(y == label).flatten()
        order = generator(context, "validation", label).permutation(len(rows))
        held_out[rows[order[: max(1, round(validation * len(rows)))]]] = True
    chosen: Chosen = {
        "train": ("train", torch.nonzero(~held_out).flatten()),
        "test": ("test", torch.arange(len(data.test.y))),
    }
    if validation:
        chosen["valid"] = ("train", torch.nonzero(held_out).flatten())
    return chosen


def generator(context: Context, use: str, index: int = 0) -> np.random.Generator:
    """Return a generator for one use of the seed, and for one index in it.

    So the `index`-th permutation, for example, is the same in a stream of any length.

    >>> generator(Context(seed=0), "permutation", 3).permutation(4).tolist()
    [3, 1, 2, 0]
    """
    return np.random.default_rng(np.random.SeedSequence(context.seed, spawn_key=(crc32(use.encode()), index)))


def _check_divides(experiences: int, classes: int, smallest: int) -> None:
    """Check that every experience gets equally many classes, and at least `smallest`."""
    valid = [number for number in range(1, classes // smallest + 1) if classes % number == 0]
    if experiences in valid:
        return
    below = [number for number in valid if number < experiences][-1:]
    above = [number for number in valid if number > experiences][:1]
    raise UsageError(
        f"experiences = {experiences} does not divide the {classes} classes into parts of at least {smallest}; "
        f"the nearest that {'do are' if below and above else 'does is'} {' and '.join(map(str, below + above))}"
    )
