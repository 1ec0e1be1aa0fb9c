"""Images held whole on one device, and Avalanche datasets over them that are read by the batch.

Avalanche reads a dataset one sample at a time, through four nested calls each, and collates the samples afterwards:
several times the work of a small network's step. The datasets here stay real `AvalancheDataset`s (subset, concat,
replay buffers and task labels work as ever), but know where each of their samples lies, so that a whole batch is one
indexing operation. Any `DataLoader` over them profits; `lifelong.data.loading` does the same for Avalanche's loaders.
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
from torch.utils.data import Dataset, default_collate
from torch.utils.data._utils.collate import default_collate_fn_map

from lifelong.errors import UsageError


class Images(Dataset[tuple[Tensor, int | float]]):
    """Images and labels held whole on one device.

    Args:
        x: images, float32, of shape (N, features) or (N, channels, height, width).
        y: class labels, int64, or values to be predicted, float32, of shape (N,).
        name: unique within a benchmark; a checkpoint finds its data again by it.
        transform: a deterministic function of a batch of `x`, applied whenever images are read, so that permuted and
            rotated views share one `x`.
    """

    def __init__(self, x: Tensor, y: Tensor, *, name: str, transform: Callable[[Tensor], Tensor] | None = None) -> None:
        if len(x) != len(y):
            raise ValueError(f"{len(x)} images but {len(y)} labels")
        self.x, self.y, self.name, self.transform = x, y, name, transform
        self.targets: list[int] | list[float] = y.tolist()

    def view(self, name: str, transform: Callable[[Tensor], Tensor] | None) -> Images:
        """The same images and labels, held once, as another transform shows them."""
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
        """The images and labels of some rows, as one batch."""
        x = self.x.index_select(0, rows)
        return (x if self.transform is None else self.transform(x)), self.y.index_select(0, rows)


@dataclass(frozen=True)
class Rows:
    """Where each sample of a dataset lies.

    Attributes:
        images: the sets of images that the samples come from.
        source: for each sample the index of its set, of shape (n,); None when there is one set.
        row: for each sample its row in that set, of shape (n,).
        extras: what Avalanche appends to each sample (task labels, stored logits), each of shape (n, ...).
    """

    images: tuple[Images, ...]
    source: Tensor | None
    row: Tensor
    extras: tuple[Tensor, ...]

    def __len__(self) -> int:
        return len(self.row)

    def batch(self, positions: Sequence[int] | np.ndarray) -> list[Tensor]:
        """`[x, y, *extras]` of the samples at these positions."""
        at = torch.as_tensor(positions, device=self.row.device)
        x, y = self._read(at)
        return [x, y, *(extra.index_select(0, at) for extra in self.extras)]

    def _read(self, at: Tensor) -> tuple[Tensor, Tensor]:
        row = self.row.index_select(0, at)
        if self.source is None:
            return self.images[0].read(row)
        source = self.source.index_select(0, at)
        parts = [self.images[index].read(row[source == index]) for index in torch.unique(source).tolist()]
        back = torch.argsort(torch.argsort(source, stable=True))  # from one set after the other to the order asked for
        x, y = (torch.cat(column).index_select(0, back) for column in zip(*parts, strict=True))
        return x, y

    @staticmethod
    def concat(parts: Sequence[Rows]) -> Rows:
        """The samples of several datasets, one after the other."""
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
    """Where the samples of an Avalanche dataset lie, or None when it is not over `Images`, or transforms them."""
    located = _locate(dataset._flat_data, dataset._flat_data._transform_groups.current_group)
    if located is None or not len(located[2]):
        return None
    images, source, row = located
    device = images[0].x.device
    extras = [_values(attribute.data) for attribute in dataset._data_attributes.values() if attribute.use_in_getitem]
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
    """The sets of images under Avalanche's tree of subsets and concatenations; (n,) set indices; (n,) rows.

    None where there is other data, or data that Avalanche transforms in this phase (`train`, `eval`, or one's own).
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
    """Whether a dataset changes its samples when they are read in this phase."""
    groups = [getattr(data, name, None) for name in ("_transform_groups", "_frozen_transform_groups")]
    return any(group is not None and group[phase] is not None for group in groups)


def _values(data: Any) -> Tensor | None:
    """A data attribute as one tensor of shape (n, ...), as torch collates it; None when its values make no tensor."""
    if isinstance(data, ConstantSequence):
        value = _collated([data[0]])
        return value.expand(len(data)) if value is not None else None
    if isinstance(data, FlatData):
        parts = [_values(part) for part in data._datasets if len(part)]
        known = [part for part in parts if part is not None]
        if len(known) < len(parts) or len({part.shape[1:] for part in known}) != 1:
            return None
        values = torch.cat(known)
        if data._indices is None:
            return values
        return values[torch.from_numpy(np.fromiter(data._indices, np.int64, len(data._indices)))]
    return _collated(list(data))


def _collated(values: list[Any]) -> Tensor | None:
    try:
        collated = default_collate(values)
    except (TypeError, RuntimeError):  # of no type that torch collates; of different shapes
        return None
    return collated if isinstance(collated, Tensor) else None


@dataclass(frozen=True)
class _Sample(Sequence[Any]):
    """One sample of a batch, looked up when it is asked for: most collating functions never do."""

    columns: list[Tensor]
    position: int

    def __len__(self) -> int:
        return len(self.columns)

    def __getitem__(self, index: Any) -> Any:
        x, *others = (column[self.position] for column in self.columns)
        return [x, *(value if value.ndim else value.item() for value in others)][index]


@dataclass(frozen=True)
class _Batch(Sequence[_Sample]):
    """The samples that torch asks for, of which its `default_collate` takes the batch that they are already.

    Any other collating function finds the samples themselves. `default_collate` is told so below, as its
    documentation describes.
    """

    columns: list[Tensor]

    def __len__(self) -> int:
        return len(self.columns[0])

    def __getitem__(self, index: Any) -> Any:
        positions = range(len(self))[index]
        if isinstance(positions, int):
            return _Sample(self.columns, positions)
        return [_Sample(self.columns, position) for position in positions]


def _as_it_is(batch: Sequence[_Sample], **_: object) -> Any:
    if isinstance(batch, _Batch):
        return list(batch.columns)
    return default_collate([list(sample) for sample in batch])


default_collate_fn_map[_Sample] = _as_it_is


class BatchReader(Dataset[list[Any]]):
    """Any dataset whose rows are known, for a `DataLoader` with or without a `collate_fn`."""

    def __init__(self, rows: Rows) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: SupportsIndex) -> list[Any]:
        return list(_Sample(self.rows.batch([range(len(self))[index]]), 0))

    def __getitems__(self, positions: list[int]) -> _Batch:
        return _Batch(self.rows.batch(positions))


class ResidentDataset(TaskAwareSupervisedClassificationDataset):
    """An Avalanche dataset over `Images`, read by the batch wherever that gives what reading by the sample gives."""

    def _reader(self) -> BatchReader | None:
        """How to read by the batch, found out once: Avalanche's datasets do not change after they are made."""
        if "_rows" not in self.__dict__:
            self._rows = rows_of(self)
        return BatchReader(self._rows) if self._rows is not None else None

    def __getitem__(self, index: int | slice) -> Any:
        reader = self._reader()
        if reader is None or isinstance(index, slice):
            return super().__getitem__(index)
        return reader[index]

    @property
    def __getitems__(self) -> Callable[[list[int]], _Batch] | None:
        """torch reads by the batch where this is a function, and by the sample where it is None."""
        reader = self._reader()
        return reader.__getitems__ if reader is not None else None

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if key != "_rows"}


def resident_dataset(
    images: Images | Sequence[Images], indices: Tensor | Sequence[int] | None = None, *, task_label: int = 0
) -> ResidentDataset:
    """An Avalanche classification dataset of some rows of `images`.

    Args:
        images: where the samples lie; of several, the rows are counted through one after the other.
        indices: the rows, in order; all of them by default. Datasets given one and the same list share it.
        task_label: the task label of every sample.

    Returns:
        A dataset of samples `[x, y, task label]`.
    """
    parts = [images] if isinstance(images, Images) else list(images)
    rows = sum(map(len, parts))
    if indices is None:
        indices = list(range(rows))
    made = ResidentDataset(
        parts,
        indices=indices if isinstance(indices, list) else torch.as_tensor(indices).tolist(),
        data_attributes=[
            DataAttribute(FlatData([part.targets for part in parts]), "targets"),
            DataAttribute(ConstantSequence(task_label, rows), "targets_task_labels", use_in_getitem=True),
        ],
    )
    # Avalanche asks for the labels that occur, and would look at one sample after the other.
    y = torch.cat([part.y.cpu() for part in parts])
    made.targets._uniques = set(torch.unique(y[torch.as_tensor(indices, dtype=torch.int64)]).tolist())
    return made


def images_of(benchmark: Any) -> dict[str, Images]:
    """Every set of images under the streams of an Avalanche benchmark, by name.

    Raises:
        UsageError: if two of them share a name.
    """
    found: dict[str, Images] = {}
    for experience in (experience for stream in benchmark.streams.values() for experience in stream):
        for images in _images(experience.dataset._flat_data):
            if found.setdefault(images.name, images) is not images:
                raise UsageError(f"two sets of images are called {images.name!r}; a checkpoint finds them by name")
    return found


def _images(data: object) -> Iterator[Images]:
    """Every set of images under Avalanche's tree, transformed or not."""
    if isinstance(data, Images):
        yield data
    for part in data._datasets if isinstance(data, FlatData) else ():
        yield from _images(part)
