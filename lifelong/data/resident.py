"""Images held whole on one device, and Avalanche datasets over them that are read by the batch.

Avalanche reads a dataset one sample at a time, through four nested calls for each, and collates the samples afterwards.
That is several times the work of a small network's step. The datasets here are still real instances of
`AvalancheDataset` (subset, concat, replay buffers and task labels work as usual). But they know where each of their
samples lies, so that a whole batch is read by one indexing operation. Any `DataLoader` over them is faster for it;
`lifelong.data.loading` does the same for Avalanche's own loaders.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any, SupportsIndex

import numpy as np
import torch
from avalanche.benchmarks.utils import AvalancheDataset, DataAttribute
from avalanche.benchmarks.utils.classification_dataset import TaskAwareSupervisedClassificationDataset
from avalanche.benchmarks.utils.flat_data import ConstantSequence, FlatData
from torch import Tensor
from torch.utils.data import Dataset

from lifelong.data.collating import Batch, Sample, collate_attribute
from lifelong.errors import UsageError


class Images(Dataset[tuple[Tensor, int | float]]):
    """Images and labels held whole on one device.

    >>> images = Images(torch.zeros(3, 1, 8, 8), torch.tensor([0, 1, 1]), name="train")
    >>> len(images), images[2][1]
    (3, 1)

    Arrays are taken too. Labels of any whole-number type become int64, floating-point numbers float32, in which
    networks compute, and a column of labels, of shape (N, 1), becomes a row.

    Args:
        x: the images, float32, of shape (N, features) or (N, channels, height, width).
        y: the class labels, int64, of shape (N,); or values to be predicted, float32, of shape (N,) or (N, outputs).
        name: a name that is unique within a benchmark; a checkpoint finds its data again by it.
        transform: a deterministic function of a batch of `x`. It is applied whenever images are read, so that permuted
            and rotated views share one `x`.

    Raises:
        UsageError: if there are not as many labels as images, or one of them holds no numbers.
    """

    def __init__(
        self,
        x: Tensor | np.ndarray,
        y: Tensor | np.ndarray,
        *,
        name: str,
        transform: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        x, y = _numbers(x, f"the samples of the images {name!r}"), _numbers(y, f"the labels of the images {name!r}")
        if len(x) != len(y):
            raise UsageError(f"the images {name!r} are {len(x)}, with {len(y)} labels")
        if y.dim() == 2 and y.shape[1] == 1:
            y = y[:, 0]
        if not y.is_floating_point():
            y = y.long()
        self.x, self.y, self.name, self.transform = x, y, name, transform
        self.targets: list[int] | list[float] = y.tolist()

    def view(self, name: str, transform: Callable[[Tensor], Tensor] | None) -> Images:
        """Return the same images and labels, seen through another transform. The tensors are shared, not copied."""
        other = copy(self)
        other.name, other.transform = name, transform
        return other

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, index: SupportsIndex) -> tuple[Tensor, int | float]:
        row = range(len(self))[index]
        x = self.x[row] if self.transform is None else self.transform(self.x[row : row + 1])[0]
        return x, self.targets[row]

    def read(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return images and labels of some rows, as one batch.

        Args:
            rows: the rows, int64, of shape (n,), each in [0, N).

        Returns:
            The images of shape (n, ...) and the labels of shape (n,).
        """
        x = self.x.index_select(0, rows)
        return (x if self.transform is None else self.transform(x)), self.y.index_select(0, rows)


def _numbers(values: Any, what: str) -> Tensor:
    """Return numbers as a tensor, floating-point ones in single precision.

    Raises:
        UsageError: if they are no numbers.
    """
    try:
        numbers = torch.as_tensor(values)
    except (TypeError, ValueError, RuntimeError):
        kind = getattr(values, "dtype", type(values).__name__)
        raise UsageError(
            f"{what} are {kind}, and not numbers; number classes from 0, for example with "
            "np.unique(labels, return_inverse=True)[1]"
        ) from None
    return numbers.float() if numbers.is_floating_point() else numbers


@dataclass(frozen=True)
class Rows:
    """Tells where each sample of a dataset lies.

    Attributes:
        images: the sets of images that the samples come from.
        source: the index of each sample's set, int64, of shape (n,); None when there is only one set.
        row: each sample's row in its set, int64, of shape (n,).
        extras: what Avalanche appends to each sample (such as task labels or stored logits), each of shape (n, ...).
    """

    images: tuple[Images, ...]
    source: Tensor | None
    row: Tensor
    extras: tuple[Tensor, ...]

    def __len__(self) -> int:
        return len(self.row)

    def batch(self, positions: Sequence[int] | np.ndarray) -> list[Tensor]:
        """Return `[x, y, *extras]` of the samples at these positions, each in [0, n)."""
        at = torch.as_tensor(positions, device=self.row.device)
        x, y = self._read(at)
        return [x, y, *(extra.index_select(0, at) for extra in self.extras)]

    def _read(self, at: Tensor) -> tuple[Tensor, Tensor]:
        row = self.row.index_select(0, at)
        if self.source is None:
            return self.images[0].read(row)
        source = self.source.index_select(0, at)
        parts = [self.images[index].read(row[source == index]) for index in torch.unique(source).tolist()]
        # the parts are joined one set after the other; the inverse of that order restores the order asked for
        back = torch.argsort(torch.argsort(source, stable=True))
        x, y = (torch.cat(column).index_select(0, back) for column in zip(*parts, strict=True))
        return x, y

    @staticmethod
    def concat(parts: Sequence[Rows]) -> Rows:
        """Join the samples of several datasets, one after the other."""
        if len(parts) == 1:
            return parts[0]
        images = tuple({id(images): images for part in parts for images in part.images}.values())
        index = {id(images): position for position, images in enumerate(images)}
        source = torch.cat([part._source_in(index) for part in parts]) if len(images) > 1 else None
        extras = tuple(torch.cat(column) for column in zip(*(part.extras for part in parts), strict=True))
        return Rows(images, source, torch.cat([part.row for part in parts]), extras)

    def _source_in(self, index: dict[int, int]) -> Tensor:
        mapping = torch.tensor([index[id(images)] for images in self.images], device=self.row.device)
        return mapping[self.source] if self.source is not None else mapping.expand(len(self))


def rows_of(dataset: AvalancheDataset[Any]) -> Rows | None:
    """Find out where the samples of an Avalanche dataset lie.

    Returns:
        Their places; None when the dataset is empty, holds other data than `Images`, transforms its samples, or appends
        something to them that makes no tensor.
    """
    located = _locate(dataset._flat_data, dataset._flat_data._transform_groups.current_group)
    if located is None or not len(located[2]):
        return None
    images, source, row = located
    device = images[0].x.device
    extras = [
        collate_attribute(attribute.data) for attribute in dataset._data_attributes.values() if attribute.use_in_getitem
    ]
    known = [extra.to(device) for extra in extras if extra is not None]
    if len(known) < len(extras):
        return None
    return Rows(
        tuple(images),
        torch.from_numpy(source).to(device) if len(images) > 1 else None,
        torch.from_numpy(row).to(device),
        tuple(known),
    )


def _locate(data: object, phase: str) -> tuple[list[Images], np.ndarray, np.ndarray] | None:
    """Walk down Avalanche's tree of subsets and concatenations.

    Args:
        data: a node of the tree.
        phase: Avalanche's group of transforms, such as `train` or `eval`.

    Returns:
        The sets of images, the index of each sample's set, and each sample's row in it, both int64 of shape (n,). None
        where there is other data, or data that Avalanche transforms in this phase.
    """
    if isinstance(data, Images):
        return [data], np.zeros(len(data), np.int64), np.arange(len(data), dtype=np.int64)
    if not isinstance(data, FlatData) or _transforms(data, phase):
        return None
    images: list[Images] = []
    sources, rows = [], []
    for part in data._datasets:
        located = _locate(part, phase)
        if located is None:
            return None
        sources.append(located[1] + len(images))
        rows.append(located[2])
        images += located[0]
    source = np.concatenate(sources) if sources else np.zeros(0, np.int64)
    row = np.concatenate(rows) if rows else np.zeros(0, np.int64)
    if data._indices is not None:
        chosen = np.fromiter(data._indices, np.int64, len(data._indices))
        source, row = source[chosen], row[chosen]
    return images, source, row


def _transforms(data: FlatData[Any], phase: str) -> bool:
    """Tell whether a dataset changes its samples when they are read in this phase."""
    groups = [getattr(data, name, None) for name in ("_transform_groups", "_frozen_transform_groups")]
    return any(group is not None and group[phase] is not None for group in groups)


class BatchReader(Dataset[list[Any]]):
    """Reads any dataset whose rows are known, for a `DataLoader` with or without a `collate_fn`."""

    def __init__(self, rows: Rows) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: SupportsIndex) -> list[Any]:
        return list(Sample(self.rows.batch([range(len(self))[index]]), 0))

    def __getitems__(self, positions: list[int]) -> Batch:
        return Batch(self.rows.batch(positions))


class ResidentDataset(TaskAwareSupervisedClassificationDataset):
    """An Avalanche dataset over `Images`. Where batches and single samples give the same, it is read by the batch."""

    def _reader(self) -> BatchReader | None:
        """Return what reads by the batch; it is found out once, because Avalanche's datasets never change."""
        if "_rows" not in self.__dict__:
            self._rows = rows_of(self)
        return BatchReader(self._rows) if self._rows is not None else None

    def __getitem__(self, index: int | slice) -> Any:
        reader = self._reader()
        if reader is None or isinstance(index, slice):
            return super().__getitem__(index)
        return reader[index]

    @property
    def __getitems__(self) -> Callable[[list[int]], Batch] | None:
        """The function by which torch reads a batch; where it is None, torch reads one sample at a time."""
        reader = self._reader()
        return reader.__getitems__ if reader is not None else None

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if key != "_rows"}


def resident_dataset(
    images: Images | Sequence[Images], indices: Tensor | Sequence[int] | None = None, *, task_label: int = 0
) -> ResidentDataset:
    """Make an Avalanche classification dataset of some rows of `images`.

    >>> images = Images(torch.arange(6.0).view(3, 2), torch.tensor([0, 1, 1]), name="train")
    >>> x, y, task_label = resident_dataset(images, [2, 0])[0]
    >>> x.tolist(), y, task_label
    ([4.0, 5.0], 1, 0)

    Args:
        images: the images. Where there are several sets, their rows are numbered one set after the other.
        indices: the rows, in order; all of them by default. Datasets that are given the same list object share it.
        task_label: the task label of every sample.

    Returns:
        A dataset of samples `[x, y, task label]`.
    """
    parts = [images] if isinstance(images, Images) else list(images)
    rows = sum(map(len, parts))
    if indices is None:
        indices = list(range(rows))
    dataset = ResidentDataset(
        parts,
        indices=indices if isinstance(indices, list) else torch.as_tensor(indices).tolist(),
        data_attributes=[
            DataAttribute(FlatData([part.targets for part in parts]), "targets"),
            DataAttribute(ConstantSequence(task_label, rows), "targets_task_labels", use_in_getitem=True),
        ],
    )
    # Avalanche asks which labels occur; without this, it would look at one sample after the other.
    y = torch.cat([part.y.cpu() for part in parts])
    dataset.targets._uniques = set(torch.unique(y[torch.as_tensor(indices, dtype=torch.int64)]).tolist())
    return dataset


def images_of(benchmark: Any) -> dict[str, Images]:
    """Return every set of images under the streams of an Avalanche benchmark, by name.

    Raises:
        UsageError: if two of them have the same name.
    """
    by_name: dict[str, Images] = {}
    for experience in (experience for stream in benchmark.streams.values() for experience in stream):
        for images in _images(experience.dataset._flat_data):
            if by_name.setdefault(images.name, images) is not images:
                raise UsageError(f"two sets of images are called {images.name!r}; a checkpoint finds them by name")
    return by_name


def _images(data: object) -> Iterator[Images]:
    """Yield every set of images under Avalanche's tree, transformed or not."""
    if isinstance(data, Images):
        yield data
    for part in data._datasets if isinstance(data, FlatData) else ():
        yield from _images(part)
