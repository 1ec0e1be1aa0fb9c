"""The suite scores: what a strategy's network can do, found out without a trace left in the strategy."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import torch
from avalanche.benchmarks import CLExperience
from avalanche.core import SupervisedPlugin
from avalanche.training.templates import SupervisedTemplate
from torch import Tensor

from lifelong.data.drawing import Reader
from lifelong.seeds import untouched_generators
from lifelong.workarounds.evaluating import unchanged_by_evaluation


class Scorer(SupervisedPlugin):
    """Counts right answers for each experience, on the device, so that no batch waits for the one before it."""

    def __init__(self) -> None:
        super().__init__()
        self.right: dict[int, torch.Tensor | int] = defaultdict(int)
        self.seen: dict[int, int] = defaultdict(int)

    def after_eval_iteration(self, strategy: Any, **_: object) -> None:
        experience = strategy.experience.current_experience
        self.right[experience] += (strategy.mb_output.argmax(dim=1) == strategy.mb_y).sum()
        self.seen[experience] += len(strategy.mb_y)
        strategy.mbatch = strategy.mb_output = None  # let the next batch have this one's memory

    def accuracy(self, experience: CLExperience) -> float:
        """A fraction in [0, 1]."""
        index = experience.current_experience
        return float(self.right[index]) / self.seen[index]


def evaluate(strategy: SupervisedTemplate, experiences: Sequence[CLExperience]) -> list[float]:
    """The accuracy on each of some test experiences, in [0, 1]: a row of R, or a part of it.

    The strategy classifies as it sees fit (its own forward pass, its own plug-ins). Nothing in it changes: no growth,
    no new head, no BatchNorm statistics, no random number that training would feel.
    """
    scorer = Scorer()
    listen(scorer, strategy, experiences)
    return [scorer.accuracy(experience) for experience in experiences]


def listen(listener: SupervisedPlugin, strategy: SupervisedTemplate, experiences: Sequence[CLExperience]) -> None:
    """Let a plug-in hear an evaluation of which nothing else remains."""
    with unchanged_by_evaluation(strategy):
        strategy.plugins.append(listener)
        try:
            strategy.eval(experiences)
        finally:
            strategy.plugins.remove(listener)


def sample(experiences: Sequence[CLExperience], most: int) -> tuple[Tensor, Tensor, Tensor]:
    """Inputs, targets and task labels of some samples, as many of each experience, evenly spaced over its data.

    Args:
        experiences: at least one.
        most: how many in all, but at least one of each experience.
    """
    share = max(1, most // len(experiences))
    batches = []
    with untouched_generators():  # a transform may draw
        for experience in experiences:
            size = len(experience.dataset)
            positions = torch.linspace(0, size - 1, min(share, size)).long().tolist()
            batches.append(Reader(experience.dataset).batch(positions))
    x, y, task_labels = (torch.cat(column) for column in zip(*batches, strict=True))
    return x, y, task_labels
