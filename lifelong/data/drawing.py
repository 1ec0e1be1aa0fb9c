"""Batches of any dataset: in order, or drawn at random without end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import default_collate

from lifelong.data.resident import rows_of


class Reader:
    """Reads batches `[x, y, *extras]` of an Avalanche dataset, each by one operation where its images are resident.

    Args:
        dataset: an Avalanche dataset of at least one sample.
    """

    def __init__(self, dataset: Any) -> None:
        self._dataset = dataset
        self._rows = rows_of(dataset)

    def __len__(self) -> int:
        return len(self._dataset)

    def batch(self, positions: Sequence[int]) -> list[Tensor]:
        """Return the samples at some positions, each in [0, n) for n samples."""
        if self._rows is not None:
            return self._rows.batch(positions)
        collate = getattr(self._dataset, "collate_fn", None) or default_collate
        return list(collate([self._dataset[position] for position in positions]))

    def in_order(self, size: int) -> Iterator[list[Tensor]]:
        """Yield all samples, in batches of one size; the last one may be smaller."""
        for start in range(0, len(self), size):
            yield self.batch(range(start, min(start + size, len(self))))


class Draws(Iterator[list[Tensor]]):
    """Endless batches of a dataset, each drawn at random without repetition. Between two batches it can be pickled.

    Args:
        dataset: an Avalanche dataset of at least one sample.
        size: the samples in a batch; where there are fewer, a batch is all of them in random order.
    """

    def __init__(self, dataset: Any, size: int) -> None:
        self.reader = Reader(dataset)
        self.size = size

    def __next__(self) -> list[Tensor]:
        return self.reader.batch(torch.randperm(len(self.reader))[: self.size].tolist())
