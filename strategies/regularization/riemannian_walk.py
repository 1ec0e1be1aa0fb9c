"""Riemannian walk (Chaudhry et al. 2018), without its samples of earlier experiences.

Avalanche's own plug-in takes the gradient of the loss without its penalty from a second pass over each batch, in eval
mode, in which the network stays: dropout and batch statistics are off in all training. And an experience of fewer steps
than `delta_t`, which has no scores there, makes all penalties 0 / 0.
"""

from __future__ import annotations

import torch
from avalanche.core import SupervisedPlugin
from avalanche.training.templates import SupervisedTemplate
from torch import Tensor, nn

from lifelong.plasticity.carrying import CarriedWeights
from lifelong.structure import Change

from .penalty import Weights, copied, padded


class RiemannianWalk(SupervisedPlugin):
    """Holds each weight by its Fisher information, and by how much it lowered the loss for the distance that it took.

    Negative scores count as zero where they arise, as in the authors' code, so that they do not lessen those of earlier
    experiences. The steps after the last interval of an experience are an interval too.

    Args:
        ewc_lambda: the weight of the penalty.
        ewc_alpha: the share of the newest batch in the running Fisher information.
        delta_t: the steps over which one score is taken.

    Attributes:
        fisher: F of each weight, as it runs.
        score: s of each weight, after the last experience.
        stiffness: F + s of each weight, each scaled to a largest value of 1, after the last experience.
        anchor: the weights after the last experience.
    """

    def __init__(self, ewc_lambda: float = 0.1, ewc_alpha: float = 0.9, delta_t: int = 10) -> None:
        super().__init__()
        self.ewc_lambda, self.ewc_alpha, self.delta_t = ewc_lambda, ewc_alpha, delta_t
        self.fisher: Weights = {}
        self.score: Weights = {}
        self.stiffness: Weights = {}
        self.anchor: Weights = {}
        self._scores: Weights = {}  # of this experience
        self._lowered: Weights = {}  # how much each weight lowered the loss in this interval,
        self._start: Weights = {}  # and where it was at its beginning
        self._before: Weights = {}  # the weights before a step
        self._gradient: Weights = {}  # of the loss without the penalty

    def before_training_exp(self, strategy: SupervisedTemplate, **_: object) -> None:
        self._scores = {name: torch.zeros_like(weight) for name, weight in strategy.model.named_parameters()}
        self._begin_interval(strategy.model)

    def before_training_iteration(self, strategy: SupervisedTemplate, **_: object) -> None:
        self._before = copied(strategy.model)

    @torch.no_grad()
    def after_backward(self, strategy: SupervisedTemplate, **_: object) -> None:
        """Update the Fisher information, Eq. 6, and add the gradient of the penalty, Eq. 8, in closed form.

        The penalty is left out of the loss, so that the gradient of the loss alone is at hand before it is added.
        """
        trained = [(name, weight) for name, weight in strategy.model.named_parameters() if weight.grad is not None]
        self._gradient = {name: weight.grad.clone() for name, weight in trained}
        self.fisher = {name: self._running(name, gradient**2) for name, gradient in self._gradient.items()}
        for name, weight in trained:
            if name in self.stiffness:
                stiffness, moved = padded(self.stiffness[name], weight), weight - padded(self.anchor[name], weight)
                weight.grad += 2 * self.ewc_lambda * stiffness * moved  # of lambda (F + s) (theta - theta*)²

    def _running(self, name: str, new: Tensor) -> Tensor:
        """Return Eq. 6: F^t = alpha F + (1 - alpha) F^(t-1)."""
        if name not in self.fisher:
            return new
        return self.ewc_alpha * new + (1 - self.ewc_alpha) * padded(self.fisher[name], new)

    @torch.no_grad()
    def after_training_iteration(self, strategy: SupervisedTemplate, **_: object) -> None:
        for name, weight in strategy.model.named_parameters():
            if name in self._gradient:
                self._lowered[name] -= self._gradient[name] * (weight - self._before[name])
        if (strategy.clock.train_iterations + 1) % self.delta_t == 0:
            self._end_interval(strategy.model)
            self._begin_interval(strategy.model)

    def _begin_interval(self, model: nn.Module) -> None:
        self._lowered = {name: torch.zeros_like(weight) for name, weight in model.named_parameters()}
        self._start = copied(model)

    @torch.no_grad()
    def _end_interval(self, model: nn.Module) -> None:
        """Add the interval's score, Eq. 7: the fall of the loss / (1/2 F dtheta² + eps)."""
        for name, weight in model.named_parameters():
            if name in self.fisher:
                eps = torch.finfo(weight.dtype).eps
                distance = 0.5 * self.fisher[name] * (weight - self._start[name]).pow(2)
                self._scores[name] += self._lowered[name] / (distance + eps)

    def after_training_exp(self, strategy: SupervisedTemplate, **_: object) -> None:
        self._end_interval(strategy.model)
        scores = {name: score.clamp(min=0) for name, score in self._scores.items()}
        self.score = {
            name: 0.5 * (padded(self.score[name], new) + new) if name in self.score else new
            for name, new in scores.items()
        }
        most_score = max(score.max() for score in self.score.values())
        most_fisher = max(fisher.max() for fisher in self.fisher.values())
        self.stiffness = {
            # 0 / 0 where the loss is zero all along: there is nothing to scale by
            name: (self.fisher[name] / most_fisher + score / most_score).nan_to_num(0)
            for name, score in self.score.items()
            if name in self.fisher
        }
        self.anchor = copied(strategy.model)

    def carry(self, change: Change, network: nn.Module) -> None:
        """Follow a change of structure: new weights are held by nothing, and their way begins here."""
        weights = CarriedWeights(change, network)
        for name in ("anchor", "_start", "_before"):
            setattr(self, name, weights.anchors(getattr(self, name)))
        for name in ("fisher", "score", "stiffness", "_scores", "_lowered", "_gradient"):
            setattr(self, name, weights.importances(getattr(self, name)))
