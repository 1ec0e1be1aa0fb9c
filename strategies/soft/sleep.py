"""A network that sleeps after each experience."""

from __future__ import annotations

from copy import deepcopy

import torch
from avalanche.benchmarks.utils.data_loader import SingleDatasetDataLoader
from avalanche.core import SupervisedPlugin
from avalanche.models import avalanche_forward
from avalanche.training.storage_policy import ReservoirSamplingBuffer
from avalanche.training.templates import SupervisedTemplate
from torch import Generator, nn

from lifelong.data.loading import read_by_batch
from lifelong.seeds import drawing_from

SALT = 0x736C6570
"""Turns training's seed into the seed of sleep; any constant would do."""


class Sleep(SupervisedPlugin):
    """Trains on a memory after each experience, while a slow network follows; then the network takes the slow weights.

    Sleep has a random generator of its own.

    Args:
        mem_size: number of samples in the memory, a reservoir of all that was seen.
        epochs: number of passes over the memory in each sleep.
        decay: share of its weights that the slow network keeps at each step of sleep, in [0, 1].
    """

    def __init__(self, mem_size: int, epochs: int, decay: float) -> None:
        super().__init__()
        self.memory = ReservoirSamplingBuffer(mem_size)
        self.epochs = epochs
        self.decay = decay
        self.slow: nn.Module | None = None
        self._generator = Generator()

    def before_training_exp(self, *_: object, **__: object) -> None:
        if self.slow is None:
            self._generator.manual_seed(torch.initial_seed() ^ SALT)

    def after_training_exp(self, strategy: SupervisedTemplate, **_: object) -> None:
        with drawing_from(self._generator):
            self.memory.post_adapt(strategy, strategy.experience)
            self.slow = deepcopy(strategy.model) if self.slow is None else self.slow
            self._consolidate(strategy, self.slow)
        strategy.model.load_state_dict(self.slow.state_dict())

    def _consolidate(self, strategy: SupervisedTemplate, slow: nn.Module) -> None:
        loader = SingleDatasetDataLoader(self.memory.buffer, batch_size=strategy.train_mb_size, shuffle=True)
        read_by_batch(loader)
        for _ in range(self.epochs):
            for x, y, task_labels in loader:
                self._reactivate(strategy, x.to(strategy.device), y.to(strategy.device), task_labels)
                follow(slow, strategy.model, self.decay)

    @staticmethod
    def _reactivate(strategy: SupervisedTemplate, x: torch.Tensor, y: torch.Tensor, task_labels: torch.Tensor) -> None:
        strategy.optimizer.zero_grad()
        output = avalanche_forward(strategy.model, x, task_labels.to(strategy.device))
        strategy._criterion(output, y).backward()
        strategy.optimizer.step()


@torch.no_grad()
def follow(slow: nn.Module, fast: nn.Module, decay: float) -> None:
    """Set slow <- decay slow + (1 - decay) fast in all floating-point state; counters and flags are copied."""
    state = fast.state_dict()
    for name, value in slow.state_dict().items():
        if value.is_floating_point():
            value.lerp_(state[name], 1 - decay)
        else:
            value.copy_(state[name])
