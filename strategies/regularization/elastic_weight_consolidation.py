"""Elastic weight consolidation (Kirkpatrick et al. 2017), and its online form (Schwarz et al. 2018).

Two departures from the papers are Avalanche's: the Fisher information is estimated from squared gradients of the mean
loss of a batch, not of each sample; and the penalty has no factor of one half.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from avalanche.core import SupervisedPlugin
from avalanche.training.templates import SupervisedTemplate
from torch import nn

from lifelong.plasticity.carrying import CarriedWeights
from lifelong.structure import Change

from .penalty import Weights, copied, mean_over_batches, padded, quadratic_penalty


class EWC(SupervisedPlugin):
    """Holds each weight near its values after earlier experiences, as strongly as its Fisher information says.

    Args:
        ewc_lambda: the weight of the penalty, the paper's lambda / 2.
        mode: `separate` for one penalty for each earlier experience, `online` for one that runs on.
        decay_factor: what the running Fisher information keeps at each experience; needed by `online` only.

    Attributes:
        fisher: F of each penalty, the oldest first.
        anchors: theta* of each penalty.
    """

    def __init__(
        self, ewc_lambda: float, mode: Literal["separate", "online"] = "separate", decay_factor: float = 1.0
    ) -> None:
        super().__init__()
        self.ewc_lambda, self.mode, self.decay_factor = ewc_lambda, mode, decay_factor
        self.fisher: list[Weights] = []
        self.anchors: list[Weights] = []

    def before_backward(self, strategy: SupervisedTemplate, **_: object) -> None:
        """Add the penalty, Eq. 3: L(theta) = L_B(theta) + sum_i lambda / 2 F_i (theta_i - theta*_i)²."""
        newest_first = list(zip(self.fisher, self.anchors, strict=True))[::-1]
        strategy.loss += quadratic_penalty(
            self.ewc_lambda,
            [
                (
                    weight,
                    [
                        (padded(fisher[name], weight), padded(anchor[name], weight))
                        for fisher, anchor in newest_first
                        if name in anchor  # not of a head that came later
                    ],
                )
                for name, weight in strategy.model.named_parameters()
            ],
        )

    def after_training_exp(self, strategy: SupervisedTemplate, **kwargs: Any) -> None:
        fisher = self._estimate(strategy, kwargs.get("num_workers", 0))
        if self.mode == "online" and self.fisher:
            (past,) = self.fisher
            fisher = {  # F* <- gamma F* + F, around the newest weights alone
                name: self.decay_factor * padded(past[name], new) + new if name in past else new
                for name, new in fisher.items()
            }
            self.fisher, self.anchors = [], []
        self.fisher.append(fisher)
        self.anchors.append(copied(strategy.model))

    def _estimate(self, strategy: SupervisedTemplate, num_workers: int) -> Weights:
        """Estimate F, the mean over batches of (d L / d theta)², in evaluation mode."""
        return mean_over_batches(strategy, strategy._criterion, torch.square, num_workers)

    def carry(self, change: Change, network: nn.Module) -> None:
        """Follow a change of structure: new weights are held by nothing."""
        weights = CarriedWeights(change, network)
        self.fisher = [weights.importances(values) for values in self.fisher]
        self.anchors = [weights.anchors(values) for values in self.anchors]
