"""Scores of past classes, raised to what they were when the classes were new."""

from __future__ import annotations

from dataclasses import dataclass

from avalanche.training.templates import SupervisedTemplate
from torch import Tensor

from .herding import Data, Exemplars, outputs_of


@dataclass(frozen=True)
class Origin:
    """What a class was like just after the experience that brought it.

    Attributes:
        score: mean probability of the class, over its samples.
        confidence: mean of the highest probability, over the samples of all classes of that experience.
    """

    score: float
    confidence: float


class DualMemory(Exemplars):
    """Rectifies scores in evaluation, by statistics of classes when they were new and of exemplars now.

    Attributes:
        origins: of all classes.
        now: of all past classes, their exemplars' mean probability in the current network.
        confidence: of the current network in the samples of the current experience.
    """

    def __init__(self, mem_size: int) -> None:
        super().__init__(mem_size)
        self.origins: dict[int, Origin] = {}
        self.now: dict[int, float] = {}
        self.confidence = 1.0

    def after_training_exp(self, strategy: SupervisedTemplate, **_: object) -> None:
        scores, labels = _probabilities(strategy, strategy.experience.dataset)
        self.confidence = float(scores.max(dim=1).values.mean())
        for label in self.current:
            self.origins[label] = Origin(_mean_score(scores, labels, label), self.confidence)
        self.now = {label: _mean_score(*_probabilities(strategy, self.kept[label]), label) for label in self.past}
        super().after_training_exp(strategy)

    def after_eval_forward(self, strategy: SupervisedTemplate, **_: object) -> None:
        """Where a current class has the highest score, rectify those of the past: equation 1, in logarithms."""
        if not self.now:
            return
        scores = strategy.mb_output.log_softmax(dim=1)
        factors = scores.new_tensor([self._factor(label) for label in self.now])
        past = list(self.now)
        unsure = ~_is_one_of(scores.argmax(dim=1), past)
        scores[:, past] += unsure[:, None] * factors.log()
        strategy.mb_output = scores

    def _factor(self, label: int) -> float:
        origin = self.origins[label]
        return origin.score / max(self.now[label], _LEAST) * self.confidence / origin.confidence


_LEAST = 1e-12
"""A mean score below which a class counts as never recognised, lest there be a division by zero."""


def _probabilities(strategy: SupervisedTemplate, data: Data) -> tuple[Tensor, Tensor]:
    logits, labels = outputs_of(strategy.model, strategy, data)
    return logits.softmax(dim=1), labels


def _mean_score(scores: Tensor, labels: Tensor, label: int) -> float:
    return float(scores[labels == label, label].mean())


def _is_one_of(labels: Tensor, some: list[int]) -> Tensor:
    return (labels[:, None] == labels.new_tensor(some)).any(dim=1)
