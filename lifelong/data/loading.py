"""An Avalanche plug-in for fast reading: the batches and the random numbers are the same, but a batch is read whole."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from avalanche.benchmarks.utils import AvalancheDataset
from avalanche.benchmarks.utils.data_loader import MultiDatasetDataLoader, MultiDatasetSampler
from avalanche.training.plugins import SupervisedPlugin
from torch import Tensor
from torch.utils.data import BatchSampler, RandomSampler, SequentialSampler, default_collate

from lifelong.data.resident import ResidentDataset, Rows, rows_of


def _rows(dataset: AvalancheDataset[Any]) -> Rows | None:
    if isinstance(dataset, ResidentDataset):
        reader = dataset._reader()
        return reader.rows if reader is not None else None
    return rows_of(dataset)


class _Chunks:
    """The batches of one of torch's batch samplers, cut from the order of a whole epoch, which is faster.

    As in the sampler itself, nothing is drawn before the first batch is asked for.
    """

    def __init__(self, batches: BatchSampler) -> None:
        self._batches = batches

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[np.ndarray]:
        order, size = np.fromiter(self._batches.sampler, np.int64), self._batches.batch_size
        for number in range(len(self)):
            yield order[number * size : (number + 1) * size]


class _Batches:
    """The batches that one of Avalanche's loaders would give in an epoch; the same random numbers are drawn."""

    def __init__(self, rows: Rows, loader: MultiDatasetDataLoader) -> None:
        self._rows, self._loader = rows, loader

    def __iter__(self) -> Iterator[list[Tensor]]:
        loader = self._loader
        torch.empty((), dtype=torch.int64).random_()  # torch's DataLoader draws a seed for workers, even without any
        samplers = loader._create_samplers(loader.datasets, loader.batch_sizes, False, loader.loader_kwargs)
        known = all(isinstance(batches.sampler, RandomSampler | SequentialSampler) for batches in samplers)
        positions: Iterable[Sequence[int] | np.ndarray]
        if known and len(samplers) == 1 and not loader.never_ending:
            positions = _Chunks(samplers[0])
        else:
            positions = MultiDatasetSampler(
                loader.datasets,
                [_Chunks(batches) for batches in samplers] if known else samplers,
                termination_dataset_idx=loader.termination_dataset,
                oversample_small_datasets=loader.oversample_small_datasets,
                never_ending=loader.never_ending,
            )
        return map(self._rows.batch, positions)


def _epoch(loader: MultiDatasetDataLoader) -> _Batches:
    """Return what `MultiDatasetDataLoader._get_loader` returns for an epoch, but read by the batch."""
    parts = [rows for dataset in loader.datasets if (rows := _rows(dataset)) is not None]
    return _Batches(Rows.concat(parts), loader)


def read_by_batch(loader: MultiDatasetDataLoader) -> bool:
    """Let one of Avalanche's loaders read by the batch, if all its datasets are over resident images.

    Avalanche joins its datasets with torch's `ConcatDataset`, which asks for one sample at a time. At each epoch
    Avalanche also looks through every sample for FFCV support. This function replaces that step of one loader only.

    Returns:
        Whether it did. It does not where the user's own collating function asks for samples.
    """
    if loader.loader_kwargs["collate_fn"] is not default_collate:
        return False
    if any(_rows(dataset) is None for dataset in loader.datasets):
        return False
    loader._get_loader = partial(_epoch, loader)
    return True


class ResidentLoading(SupervisedPlugin):
    """Lets a strategy and its plug-ins read by the batch. Append it to `strategy.plugins` after the others.

    Loaders over data that is not resident, or that Avalanche transforms, are left as they are.
    """

    def before_training_exp(self, strategy: Any, **_: object) -> None:
        self._visit(strategy)

    def before_eval_exp(self, strategy: Any, **_: object) -> None:
        self._visit(strategy)

    @staticmethod
    def _visit(strategy: Any) -> None:
        for owner in (strategy, *strategy.plugins):
            for value in vars(owner).values():
                if isinstance(value, MultiDatasetDataLoader):
                    read_by_batch(value)
