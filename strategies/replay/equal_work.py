"""GDumb with the budget of the other strategies."""

from __future__ import annotations

from avalanche.training.plugins import GDumbPlugin
from avalanche.training.templates import SupervisedTemplate

from lifelong.workarounds.rehearsal import SortedSet


class EqualWorkGDumb(GDumbPlugin):
    """GDumb that sees as many samples after each experience as a strategy that trains on the experience itself.

    Args:
        mem_size: number of samples in the memory.
        epochs: number of passes of other strategies over each experience.
    """

    def __init__(self, mem_size: int, epochs: int) -> None:
        super().__init__(mem_size)
        self.storage_policy.seen_classes = SortedSet()
        self.epochs = epochs

    def before_training_exp(self, strategy: SupervisedTemplate, **_: object) -> None:
        passes = self.epochs * len(strategy.experience.dataset) / len(strategy.adapted_dataset)
        strategy.train_epochs = max(1, round(passes))
