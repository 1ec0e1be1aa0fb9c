"""IL2M: the scores of past classes are raised to what they were when the classes were new."""

from __future__ import annotations

from dataclasses import dataclass

from avalanche.training.templates import SupervisedTemplate
from torch import Tensor

from .herding import Data, Exemplars, outputs_of


@dataclass(frozen=True)
class Origin:
    """Holds how a class was recognised just after the experience that brought it: the second memory.

    Attributes:
        score: mean probability of the class, over its samples.
        confidence: mean of the highest probability, over all samples of that experience.
    """

    score: float
    confidence: float


class DualMemory(Exemplars):
    """Rectifies scores in evaluation, by what classes scored when they were new and what their exemplars score now.

    Attributes:
        origins: how each class was recognised when it was new.
        now: mean probability of each past class in the current network, over its exemplars.
        confidence: mean of the current network's highest probability, over the samples of the current experience.
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
        """Where a current class scores highest, rectify the scores of past classes: equation 1, in logarithms."""
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
"""The least mean score of a class that is divided by, so that nothing is divided by zero."""


def _probabilities(strategy: SupervisedTemplate, data: Data) -> tuple[Tensor, Tensor]:
    logits, labels = outputs_of(strategy.model, strategy, data)
    return logits.softmax(dim=1), labels


def _mean_score(scores: Tensor, labels: Tensor, label: int) -> float:
    return float(scores[labels == label, label].mean())


def _is_one_of(labels: Tensor, some: list[int]) -> Tensor:
    return (labels[:, None] == labels.new_tensor(some)).any(dim=1)
