"""The suite scores: it finds out how well a strategy classifies, and leaves no trace in the strategy."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from avalanche.benchmarks import CLExperience
from avalanche.core import SupervisedPlugin
from avalanche.training.templates import SupervisedTemplate
from torch import Tensor

from lifelong.data.drawing import Reader
from lifelong.measures.inspection import Inspection, inspect
from lifelong.seeds import untouched_generators
from lifelong.workarounds.evaluating import unchanged_by_evaluation


class Scorer(SupervisedPlugin):
    """Counts the right answers for each experience, on the device, so that no batch waits for the last one."""

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
        """Return the share of right answers, in [0, 1]."""
        index = experience.current_experience
        return float(self.right[index]) / self.seen[index]


def evaluate(strategy: SupervisedTemplate, experiences: Sequence[CLExperience]) -> list[float]:
    """Return the accuracy on each of some test experiences: a row of R, or a part of it.

    The strategy classifies in its own way (with its own forward pass and plug-ins). Nothing in it changes: there is no
    growth, no new head, no update of BatchNorm statistics, and no draw of a random number that training would notice.

    Args:
        strategy: the strategy.
        experiences: the test experiences.

    Returns:
        A fraction in [0, 1] for each experience.
    """
    scorer = Scorer()
    listen(scorer, strategy, experiences)
    return [scorer.accuracy(experience) for experience in experiences]


def listen(listener: SupervisedPlugin, strategy: SupervisedTemplate, experiences: Sequence[CLExperience]) -> None:
    """Evaluate a strategy while one more plug-in listens; nothing in the strategy is changed by it."""
    with unchanged_by_evaluation(strategy):
        strategy.plugins.append(listener)
        try:
            strategy.eval(experiences)
        finally:
            strategy.plugins.remove(listener)


def inspect_strategy(
    strategy: SupervisedTemplate, batch: tuple[Tensor, Tensor, Tensor], born: Mapping[str, Tensor] | None = None
) -> Inspection:
    """Measure a strategy's network on a batch; where the strategy has a forward pass of its own, with its outputs.

    Args:
        strategy: a strategy that has been trained.
        batch: inputs of shape (n, ...), targets and task labels of shape (n,), on any device.
        born: for each layer which units count as newborn, bool of shape (units,).
    """
    x, y, task_labels = (column.to(strategy.device) for column in batch)

    def forward() -> Tensor:
        before, strategy.mbatch = strategy.mbatch, [x, y, task_labels]
        try:
            outputs: Tensor = strategy.forward()
        finally:
            strategy.mbatch = before
        return outputs

    has_own = getattr(strategy.forward, "__func__", None) is not SupervisedTemplate.forward
    return inspect(strategy.model, x, y, task_labels, strategy._criterion, born, forward if has_own else None)


def sample(experiences: Sequence[CLExperience], most: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return some samples of experiences, as many of each, evenly spaced over its data.

    Args:
        experiences: the experiences, at least one.
        most: the largest number of samples in all; but there is at least one of each experience.

    Returns:
        Inputs of shape (n, ...), targets of shape (n,) and task labels of shape (n,).
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
