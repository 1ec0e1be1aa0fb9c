"""Less-forgetful learning (Jung et al. 2016).

A departure from the paper, which is Avalanche's: the squared distance is a mean over features and samples, not half the
sum over features. Avalanche's own plug-in takes networks of its base class alone; from the second experience on it puts
the network into eval mode at every batch, so that dropout and batch statistics are off; it computes the features twice;
and what it freezes is the last linear layer that it finds: with several heads, that of a task still to come.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import torch
from avalanche.core import SupervisedPlugin
from avalanche.training.templates import SupervisedTemplate
from torch import nn

from lifelong.models.given import Given


class LessForgetfulLearning(SupervisedPlugin):
    """Holds features near those before the experience; the classifier is frozen. For `features` and `classifier`.

    Args:
        lambda_e: the weight of the squared distance between the features, the paper's lambda_e.

    Attributes:
        teacher: the network after the last experience, in eval mode; None in the first.
        cannot_follow: why the network may not change its structure.
    """

    cannot_follow = "it compares each feature with the same one of an older network, which may have other features"

    def __init__(self, lambda_e: float) -> None:
        super().__init__()
        self.lambda_e = lambda_e
        self.teacher: Any = None
        self._features = Given()

    def before_forward(self, strategy: SupervisedTemplate, **_: object) -> None:
        if self.teacher is not None:
            self._features.watch(strategy.model.classifier)

    def after_forward(self, *_: object, **__: object) -> None:
        self._features.leave()

    def before_backward(self, strategy: SupervisedTemplate, **_: object) -> None:
        """Add lambda_e times the mean of (f(x; theta) - f(x; theta*))²."""
        if self.teacher is None:
            return
        with torch.no_grad():
            before = self.teacher.features(strategy.mb_x)
        strategy.loss += self.lambda_e * nn.functional.mse_loss(self._features.take(), before)

    def after_training_exp(self, strategy: SupervisedTemplate, **_: object) -> None:
        self.teacher = deepcopy(strategy.model).eval().requires_grad_(False)
        for parameter in strategy.model.classifier.parameters():
            if parameter.grad is not None:  # else it is in the head of another task
                parameter.requires_grad = False
