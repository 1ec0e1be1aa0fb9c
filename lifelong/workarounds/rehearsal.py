"""Mends memories for replay, and batches that come from several tasks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from avalanche.benchmarks.utils.data_loader import SingleDatasetDataLoader
from avalanche.training.supervised.der import ClassBalancedBufferWithLogits
from avalanche.training.templates import SupervisedTemplate
from torch import Tensor

from lifelong.data.resident import BatchReader, rows_of


def mix_tasks(strategy: SupervisedTemplate) -> SupervisedTemplate:
    """Let a strategy draw each batch at random from all samples that it trains on, whatever their tasks.

    By default, Avalanche gives every task an equal share of every batch. If there are more tasks than a batch has
    samples, for example when joint training has all tasks at once, training raises `AssertionError`.

    Args:
        strategy: the strategy; its training loader is replaced.

    Returns:
        The same strategy.
    """
    strategy.make_train_dataloader = partial(_shuffled_loader, strategy)
    return strategy


def _shuffled_loader(strategy: SupervisedTemplate, **_: object) -> None:
    strategy.dataloader = SingleDatasetDataLoader(
        strategy.adapted_dataset, batch_size=strategy.train_mb_size, shuffle=True
    )


class AddedLosses:
    """Mends the loss of ER-ACE (`ACECriterion`), which is half of the paper's.

    Avalanche returns the mean of the loss of the new samples and that of the memory. Caccia et al. 2022
    (arXiv:2104.05025, section 4) and their code add them.

    Args:
        criterion: Avalanche's criterion.
    """

    def __init__(self, criterion: Callable[..., Tensor]) -> None:
        self.criterion = criterion

    def __call__(self, *given: Tensor) -> Tensor:
        """Return the sum of both losses, a scalar."""
        return 2 * self.criterion(*given)


class SortedSet(set[int]):
    """Goes through its members in ascending order.

    Avalanche's memories hold the classes seen so far in a set. Where a memory does not divide evenly by the classes,
    the order of the set decides which classes get one sample more. A pickled copy need not keep that order, so that a
    run that is resumed may go on with other samples. With this set in its place, the order is always the same.

    >>> list(SortedSet([300, 2, 41]))
    [2, 41, 300]
    """

    def __iter__(self) -> Iterator[int]:
        return iter(sorted(super().__iter__()))


class FastLogitsBuffer(ClassBalancedBufferWithLogits):
    """Mends the memory of DER (`ClassBalancedBufferWithLogits`), which is slow to read.

    The samples are put into a data set of another type than the one they came from, and are then read one by one, even
    where they lie in one tensor. Here a memory whose samples are resident tensors is read by the batch. Its set of
    classes is a `SortedSet`.

    Args:
        max_size: the capacity of the memory, in samples.
    """

    def __init__(self, max_size: int) -> None:
        super().__init__(max_size)
        self.seen_classes = SortedSet()

    @property
    def buffer(self) -> Any:
        """Return the memory as a data set of samples, labels, task labels and logits."""
        buffer = super().buffer
        rows = rows_of(buffer) if len(buffer) else None
        return BatchReader(rows) if rows is not None else buffer
