"""Memory aware synapses (Aljundi et al. 2018), in the form of FACIL and Avalanche.

Departures from the paper: a gradient is that of the mean over a batch, not of a sample; and importances of experiences
are averaged, not added up. Unlike FACIL and Avalanche we estimate them in evaluation mode: in training mode the pass
would drop units and move batch statistics. Avalanche's plug-in also raises when a batch is learnt completely, because
it takes a loss of zero for a missing one.
"""

from __future__ import annotations

import torch
from avalanche.core import SupervisedPlugin
from avalanche.training.templates import SupervisedTemplate
from torch import Tensor, nn

from lifelong.plasticity.carrying import CarriedWeights
from lifelong.structure import Change

from .penalty import Weights, copied, mean_over_batches, padded, quadratic_penalty


class MemoryAwareSynapses(SupervisedPlugin):
    """Holds each weight as strongly as the squared norm of the output depends on it.

    Args:
        lambda_reg: the weight of the penalty.
        alpha: the share of the importance so far that is kept when an experience adds its own.

    Attributes:
        importance: Omega of each weight; empty before the first experience ends.
        anchor: theta*, the weights after the last experience.
    """

    def __init__(self, lambda_reg: float = 1.0, alpha: float = 0.5) -> None:
        super().__init__()
        self.lambda_reg, self.alpha = lambda_reg, alpha
        self.importance: Weights = {}
        self.anchor: Weights = {}

    def before_backward(self, strategy: SupervisedTemplate, **_: object) -> None:
        """Add the penalty, Eq. 4: lambda sum_ij Omega_ij (theta_ij - theta*_ij)²."""
        strategy.loss += quadratic_penalty(
            self.lambda_reg,
            [
                (weight, [(padded(self.importance[name], weight), padded(self.anchor[name], weight))])
                for name, weight in strategy.model.named_parameters()
                if name in self.importance
            ],
        )

    def after_training_exp(self, strategy: SupervisedTemplate, **_: object) -> None:
        self.anchor = copied(strategy.model)
        past, alpha = self.importance, self.alpha
        self.importance = {
            name: alpha * padded(past[name], new) + (1 - alpha) * new if name in past else new
            for name, new in self._estimate(strategy).items()
        }

    def _estimate(self, strategy: SupervisedTemplate) -> Weights:
        """Estimate Omega, Eq. 2: the mean of |g|; g is the gradient of the squared norm of the output, Eq. 3.

        The network is in evaluation mode.
        """

        def squared_norm(output: Tensor, labels: Tensor) -> Tensor:
            del labels  # which the method does not need
            norm: Tensor = torch.norm(output, p="fro", dim=1)
            return norm.pow(2).mean()

        return mean_over_batches(strategy, squared_norm, torch.abs)

    def carry(self, change: Change, network: nn.Module) -> None:
        """Follow a change of structure: new weights are held by nothing."""
        weights = CarriedWeights(change, network)
        self.importance, self.anchor = weights.importances(self.importance), weights.anchors(self.anchor)
