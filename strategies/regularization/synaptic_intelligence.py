"""Synaptic intelligence (Zenke, Poole & Ganguli 2017), as in the networks of Maltoni & Lomonaco 2019.

Avalanche's own plug-in goes wrong in four ways. On the CPU it keeps the weights before a step as a view of the weights
themselves: no weight ever seems to move, every importance is zero, and the strategy is plain fine-tuning. It caps
importances at 0.001, which most reach, so that all weights are held alike. It leaves importances of weights that raised
the loss negative without bound, which pushes these weights away. And five times a step it looks for the weights that it
holds in a walk whose cost grows exponentially with the nesting of layers.
"""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatch

import torch
from avalanche.core import SupervisedPlugin
from avalanche.training.templates import SupervisedTemplate
from torch import nn
from torch.nn.modules.batchnorm import _NormBase

from lifelong.plasticity.carrying import CarriedWeights
from lifelong.structure import Change

from .penalty import Weights, padded, quadratic_penalty


class SynapticIntelligence(SupervisedPlugin):
    """Holds each weight as strongly as it has lowered the loss on its way.

    Weights of batch normalisation are left alone, as by Maltoni & Lomonaco. Where a weight raised the loss, on which
    the paper is silent, its importance is zero. The gradient g is that of the whole loss, with the penalty.

    Args:
        si_lambda: the weight of half the penalty, twice the paper's c.
        eps: the damping xi of the importance where a weight hardly moved.
        exclude: names of modules and parameters to leave alone, in which `*` stands for anything.

    Attributes:
        importance: Omega of each weight.
        anchor: theta~, the weights when the experience began.
    """

    def __init__(self, si_lambda: float, eps: float = 1e-7, exclude: Sequence[str] = ()) -> None:
        super().__init__()
        self.si_lambda, self.eps = si_lambda, eps
        self.exclude = (*exclude, *(f"{name}.*" for name in exclude))
        self.importance: Weights = {}
        self.anchor: Weights = {}
        self._sum: Weights = {}  # Omega with its sign
        self._omega: Weights = {}  # of this experience
        self._before: Weights = {}  # the weights before a step

    @torch.no_grad()
    def before_training_exp(self, strategy: SupervisedTemplate, **_: object) -> None:
        self._omega = {name: torch.zeros_like(weight) for name, weight in self._held(strategy.model)}
        for name, weight in self._held(strategy.model):
            for known in (self._sum, self.importance):
                known[name] = padded(known[name], weight) if name in known else torch.zeros_like(weight)
            self.anchor[name] = weight.clone()

    @torch.no_grad()
    def before_training_iteration(self, strategy: SupervisedTemplate, **_: object) -> None:
        self._before = {name: weight.clone() for name, weight in self._held(strategy.model) if name in self._omega}

    def before_backward(self, strategy: SupervisedTemplate, **_: object) -> None:
        """Add the surrogate loss, Eq. 4: c sum_k Omega_k (theta~_k - theta_k)²."""
        strategy.loss += quadratic_penalty(
            self.si_lambda / 2,
            [
                (weight, [(self.importance[name], self.anchor[name])])
                for name, weight in self._held(strategy.model)
                if name in self.importance
            ],
        )

    @torch.no_grad()
    def after_training_iteration(self, strategy: SupervisedTemplate, **_: object) -> None:
        """Add to the path integral, Eq. 3: omega_k = - sum over steps of g_k dtheta_k."""
        for name, weight in self._held(strategy.model):
            if weight.grad is not None and name in self._before:  # else it is new
                self._omega[name] -= (weight - self._before[name]).mul_(weight.grad)

    @torch.no_grad()
    def after_training_exp(self, strategy: SupervisedTemplate, **_: object) -> None:
        """Update the importance, Eq. 5: Omega_k = sum over experiences of omega_k / ((Delta_k)² + xi)."""
        for name, weight in strategy.model.named_parameters():
            if name in self._omega:
                self._sum[name] += self._omega[name] / ((weight - self.anchor[name]).square() + self.eps)
                self.importance[name] = self._sum[name].clamp(min=0)
                self.anchor[name] = weight.clone()

    def _held(self, model: nn.Module) -> list[tuple[str, nn.Parameter]]:
        """Return all weights that are trained, without those of batch norms and those to leave alone."""
        norms = [module for module in model.modules() if isinstance(module, _NormBase)]
        aside = {id(weight) for norm in norms for weight in norm.parameters()}
        return [
            (name, weight)
            for name, weight in model.named_parameters()
            if weight.requires_grad
            and id(weight) not in aside
            and not any(fnmatch(name, pattern) for pattern in self.exclude)
        ]

    def carry(self, change: Change, network: nn.Module) -> None:
        """Follow a change of structure, in the middle of a step too: what comes after it counts for new weights."""
        weights = CarriedWeights(change, network)
        self.importance, self._sum = weights.importances(self.importance), weights.importances(self._sum)
        self._omega = weights.importances(self._omega)
        self.anchor, self._before = weights.anchors(self.anchor), weights.anchors(self._before)
