"""Weights that are shrunk and perturbed."""

from __future__ import annotations

from typing import Literal

import torch
from avalanche.core import SupervisedPlugin
from avalanche.training.templates import SupervisedTemplate
from torch import nn

from .._drawing import normal_like, own_generator

Moment = Literal["step", "task arrival"]


class ShrinkAndPerturb(SupervisedPlugin):
    """Sets theta <- shrink * theta + noise * N(0, 1) for each parameter, after each update or when a task arrives.

    The optimizer's state stays as it is. The arrival of the first task leaves the initial weights alone.

    Args:
        when: the moments at which it happens.
        shrink: factor in [0, 1]; 1 shrinks nothing.
        noise: standard deviation of the noise.
    """

    def __init__(self, when: Moment, shrink: float, noise: float) -> None:
        super().__init__()
        self.when = when
        self.shrink = shrink
        self.noise = noise
        self._generator = own_generator("shrink and perturb")
        self._arrived = 0

    def before_training_exp(self, strategy: SupervisedTemplate, **_: object) -> None:
        self._arrived += 1
        if self.when == "task arrival" and self._arrived > 1:
            self._act(strategy.model)

    def after_update(self, strategy: SupervisedTemplate, **_: object) -> None:
        if self.when == "step":
            self._act(strategy.model)

    @torch.no_grad()
    def _act(self, network: nn.Module) -> None:
        for parameter in network.parameters():
            if parameter.requires_grad:
                noise = normal_like(parameter, self._generator)
                parameter.mul_(self.shrink).add_(noise, alpha=self.noise)
