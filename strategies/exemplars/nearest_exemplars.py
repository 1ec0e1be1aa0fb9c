"""iCaRL: the nearest mean of exemplars, on features that are learnt with distillation."""

from __future__ import annotations

from copy import deepcopy

import torch
from avalanche.training.templates import SupervisedTemplate
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, normalize, one_hot

from .herding import Exemplars, features_of, frozen


class ICaRL(Exemplars):
    """Learns with a logistic loss for each class, and classifies by the nearest mean of exemplars.

    Args:
        mem_size: number of samples in the memory, over all classes.
        temperature: temperature of the teacher's probabilities.
    """

    def __init__(self, mem_size: int, temperature: float) -> None:
        super().__init__(mem_size)
        self.temperature = temperature
        self.teacher: nn.Module | None = None
        self.means: dict[int, Tensor] = {}

    def before_backward(self, strategy: SupervisedTemplate, **_: object) -> None:
        """Replace the loss, as in the paper's algorithm 3.

        Targets are the labels for current classes, and the teacher's probabilities for past ones.
        """
        logits = strategy.mb_output
        targets = one_hot(strategy.mb_y, logits.shape[1]).to(logits.dtype)
        if self.teacher is not None and self.past:
            with torch.no_grad():
                targets[:, self.past] = (self.teacher(strategy.mb_x)[:, self.past] / self.temperature).sigmoid()
        seen = self.seen
        losses = binary_cross_entropy_with_logits(logits[:, seen], targets[:, seen], reduction="none")
        strategy.loss = losses.sum(dim=1).mean()

    def after_training_exp(self, strategy: SupervisedTemplate, **_: object) -> None:
        super().after_training_exp(strategy)
        self.means = {
            label: normalize(features_of(strategy, samples).mean(dim=0), dim=0) for label, samples in self.kept.items()
        }
        self.teacher = frozen(deepcopy(strategy.model))

    def after_eval_forward(self, strategy: SupervisedTemplate, **_: object) -> None:
        """Replace the logits, as in the paper's algorithm 1.

        The nearer a class's mean, the higher is its logit; classes never seen have minus infinity.
        """
        if self.means:
            nearness = torch.full_like(strategy.mb_output, -torch.inf)
            features = normalize(strategy.model.features(strategy.mb_x))
            nearness[:, list(self.means)] = -torch.cdist(features, torch.stack(list(self.means.values())))
            strategy.mb_output = nearness
