"""The suite scores: the accuracy of a strategy's network on every experience, without a trace left in the strategy."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import torch
from avalanche.benchmarks import CLStream
from avalanche.core import SupervisedPlugin
from avalanche.training.templates import SupervisedTemplate

from lifelong.workarounds import unchanged_by_evaluation


class Scorer(SupervisedPlugin):  # type: ignore[misc]
    """Counts right answers for each experience, on the device, so that no batch waits for the one before it."""

    def __init__(self) -> None:
        super().__init__()
        self.right: dict[int, torch.Tensor | int] = defaultdict(int)
        self.seen: dict[int, int] = defaultdict(int)

    def after_eval_iteration(self, strategy: Any, **_: object) -> None:
        experience = strategy.experience.current_experience
        self.right[experience] += (strategy.mb_output.argmax(dim=1) == strategy.mb_y).sum()
        self.seen[experience] += len(strategy.mb_y)

    def accuracies(self, experiences: int) -> list[float]:
        """Fractions in [0, 1], one for each experience in the stream's order."""
        return [float(self.right[index]) / self.seen[index] for index in range(experiences)]


def evaluate(strategy: SupervisedTemplate, stream: CLStream) -> list[float]:
    """The accuracy on each experience of a stream, in [0, 1]: one row of R.

    The strategy classifies as it sees fit (its own forward pass, its own plug-ins). Nothing in it changes: no growth,
    no new head, no BatchNorm statistics, no random number that training would feel.
    """
    scorer = Scorer()
    with unchanged_by_evaluation(strategy):
        strategy.plugins.append(scorer)
        try:
            strategy.eval(stream)
        finally:
            strategy.plugins.remove(scorer)
    return scorer.accuracies(len(stream))
