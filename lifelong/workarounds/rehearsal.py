"""Memories for replay, and batches from several experiences."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from avalanche.benchmarks.utils.data_loader import SingleDatasetDataLoader
from avalanche.training.supervised.der import ClassBalancedBufferWithLogits
from avalanche.training.templates import SupervisedTemplate

from lifelong.data.resident import BatchReader, rows_of


def mix_tasks(strategy: SupervisedTemplate) -> SupervisedTemplate:
    """Let each batch be drawn from all tasks together.

    Fault: in Avalanche every batch has an equal share of every task by default, so that a network cannot be trained at
    once on more tasks than a batch has samples.
    """
    strategy.make_train_dataloader = partial(_shuffled_loader, strategy)
    return strategy


def _shuffled_loader(strategy: SupervisedTemplate, **_: object) -> None:
    strategy.dataloader = SingleDatasetDataLoader(
        strategy.adapted_dataset, batch_size=strategy.train_mb_size, shuffle=True
    )


class SortedSet(set[int]):
    """Is a set that is walked in ascending order.

    Fault: in Avalanche the order of a set decides which classes get what is left over of a memory, and a pickled copy
    need not keep that order.
    """

    def __iter__(self) -> Iterator[int]:
        return iter(sorted(super().__iter__()))


class FastLogitsBuffer(ClassBalancedBufferWithLogits):
    """Is a memory with logits that is read by the batch.

    Fault: Avalanche's memory is a dataset of another type than what was put into it, and is read sample by sample.
    """

    def __init__(self, max_size: int) -> None:
        super().__init__(max_size)
        self.seen_classes = SortedSet()

    @property
    def buffer(self) -> Any:
        buffer = super().buffer
        rows = rows_of(buffer) if len(buffer) else None
        return BatchReader(rows) if rows is not None else buffer
