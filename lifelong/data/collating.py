"""How torch collates a batch that is whole already, and how values that Avalanche appends to samples become a tensor.

A batch of resident images is read in one piece. `Batch` hands it to torch so that `default_collate` takes it as it is,
and any other collating function still finds single samples in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from avalanche.benchmarks.utils.flat_data import ConstantSequence, FlatData
from torch import Tensor
from torch.utils.data import default_collate
from torch.utils.data._utils.collate import default_collate_fn_map


@dataclass(frozen=True)
class Sample(Sequence[Any]):
    """One sample of a batch. It is looked up only when asked for, and most collating functions never ask.

    >>> batch = [torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.tensor([0, 1])]
    >>> list(Sample(batch, position=1))
    [tensor([3., 4.]), 1]

    Attributes:
        columns: the batch `[x, y, *extras]`, each of shape (n, ...).
        position: the sample's position in the batch, in [0, n).
    """

    columns: list[Tensor]
    position: int

    def __len__(self) -> int:
        return len(self.columns)

    def __getitem__(self, index: Any) -> Any:
        x, *others = (column[self.position] for column in self.columns)
        return [x, *(value if value.ndim else value.item() for value in others)][index]


@dataclass(frozen=True)
class Batch(Sequence[Sample]):
    """The samples of a batch, as the sequence that torch hands to a collating function.

    torch's `default_collate` takes the batch as it is (see `_collate`). Any other function finds the samples.

    >>> batch = Batch([torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.tensor([0, 1])])
    >>> default_collate(batch) == batch.columns
    True

    Attributes:
        columns: the batch `[x, y, *extras]`, each of shape (n, ...).
    """

    columns: list[Tensor]

    def __len__(self) -> int:
        return len(self.columns[0])

    def __getitem__(self, index: Any) -> Any:
        positions = range(len(self))[index]
        if isinstance(positions, int):
            return Sample(self.columns, positions)
        return [Sample(self.columns, position) for position in positions]


def _collate(batch: Sequence[Sample], **_: object) -> Any:
    if isinstance(batch, Batch):
        return list(batch.columns)
    return default_collate([list(sample) for sample in batch])


# torch's documentation of `default_collate` describes this way to teach it a type
default_collate_fn_map[Sample] = _collate


def collate_attribute(data: Any) -> Tensor | None:
    """Join the values of an Avalanche data attribute in one tensor, as torch's `default_collate` does.

    >>> collate_attribute(ConstantSequence(7, 3))
    tensor([7, 7, 7])

    Args:
        data: a sequence of n values.

    Returns:
        A tensor of shape (n, ...); None when the values make no tensor.
    """
    if isinstance(data, ConstantSequence):
        value = _collated([data[0]])
        return value.expand(len(data)) if value is not None else None
    if isinstance(data, FlatData):
        parts = [collate_attribute(part) for part in data._datasets if len(part)]
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
    except (TypeError, RuntimeError):  # torch cannot collate the type, or the shapes differ
        return None
    return collated if isinstance(collated, Tensor) else None
