"""Batches that are joined by samples of a memory, and memories to recall them from."""

from __future__ import annotations

from typing import Any

import torch
from avalanche.core import SupervisedPlugin
from avalanche.training.storage_policy import BalancedExemplarsBuffer, ClassBalancedBuffer, ReservoirSamplingBuffer
from avalanche.training.templates import SupervisedTemplate
from torch import Tensor

from lifelong.data.drawing import Draws
from lifelong.workarounds.rehearsal import SortedSet


class Recalling(SupervisedPlugin):
    """Joins each training batch with samples of a memory, so that both pass through the network together.

    Attributes:
        fresh: number of samples of the current batch that are the experience's own; they come first.
    """

    def __init__(self) -> None:
        super().__init__()
        self.fresh = 0

    def recall(self, strategy: SupervisedTemplate) -> list[Tensor] | None:
        """Return `[x, y, task labels]` for the current batch, on the strategy's device; None if there are none."""
        raise NotImplementedError

    def before_training_iteration(self, strategy: SupervisedTemplate, **_: object) -> None:
        self.fresh = len(strategy.mb_x)
        recalled = self.recall(strategy)
        if recalled is not None:
            strategy.mbatch = [torch.cat(pair) for pair in zip(strategy.mbatch, recalled, strict=True)]


class RecallingEarlier(Recalling):
    """Recalls random samples from a memory, which takes in an experience once it is over.

    Args:
        memory: one of Avalanche's memories.
        size: number of samples that are drawn from it at a time.
    """

    def __init__(self, memory: BalancedExemplarsBuffer[Any] | ReservoirSamplingBuffer, size: int) -> None:
        super().__init__()
        self.memory, self.size = memory, size
        self._draws: Draws | None = None

    def recall(self, strategy: SupervisedTemplate) -> list[Tensor] | None:
        if self._draws is None:
            return None
        return [column.to(strategy.device) for column in next(self._draws)]

    def after_training_exp(self, strategy: SupervisedTemplate, **_: object) -> None:
        self.memory.post_adapt(strategy, strategy.experience)
        self._draws = Draws(self.memory.buffer, self.size)


def balanced_memory(mem_size: int) -> ClassBalancedBuffer:
    """Return Avalanche's memory that the classes seen so far share equally, each filled by reservoir sampling."""
    memory = ClassBalancedBuffer(mem_size, adaptive_size=True)
    memory.seen_classes = SortedSet()
    return memory


def reservoir(mem_size: int, size: int) -> RecallingEarlier:
    """Return a plug-in that recalls from a memory in which all samples of the stream are equally likely to be.

    Args:
        mem_size: number of samples in the memory.
        size: number of samples recalled for each batch.
    """
    return RecallingEarlier(ReservoirSamplingBuffer(mem_size), size)
