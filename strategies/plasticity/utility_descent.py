"""Utility-based perturbed gradient descent."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter
from torch.optim import Optimizer

from lifelong.errors import UsageError

from .._drawing import normal_like, own_generator


class UPGD(Optimizer):
    """Moves useful weights less, by noisy gradient descent (Elsayed & Mahmood 2024, weight-wise, first order).

    With the gradient g of a weight w, after t steps:

        U = beta U + (1 - beta) (-g w),   U^ = U / (1 - beta^t)                      utility
        w = (1 - lr decay) w - 2 lr (d + sigma N(0, 1)) (1 - sigmoid(U^ / max U^))

    The direction d is g, or Adam's m^ / (sqrt(v^) + eps). The maximum is over all weights of the network. The factor 2
    makes a step of a weight without utility an ordinary one, since sigmoid(0) = 1/2. Parameters without a gradient,
    such as heads of other tasks, stay as they are.

    Where no weight has a utility above zero, all are treated as if they had none; this is our choice. Here both U^ and
    its maximum are corrected for the short average. The authors' code divides by the largest uncorrected utility, which
    drives the sigmoid to its ends in the first 1 / (1 - beta) steps.

    Args:
        parameters: parameters of the network.
        lr: learning rate.
        beta_utility: decay of the utility, in [0, 1).
        sigma: standard deviation of the noise, relative to the direction.
        weight_decay: decoupled weight decay, which utility does not weigh, as in the authors' code.
        adaptive: whether the direction is Adam's (the authors' adaptive variant).
        betas: decays of Adam's moments.
        eps: what is added to Adam's denominator.

    Raises:
        UsageError: if the decay of the utility is 1 or more.
    """

    def __init__(
        self,
        parameters: Iterable[Parameter],
        lr: float,
        *,
        beta_utility: float = 0.999,
        sigma: float = 0.001,
        weight_decay: float = 0.0,
        adaptive: bool = False,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
    ) -> None:
        if not 0 <= beta_utility < 1:
            raise UsageError(f"upgd: beta_utility = {beta_utility} is not in [0, 1); the nearest is 0.9999")
        settings = {"lr": lr, "beta_utility": beta_utility, "sigma": sigma, "weight_decay": weight_decay}
        super().__init__(parameters, {**settings, "adaptive": adaptive, "betas": betas, "eps": eps})
        self._generator = own_generator("upgd")

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Make one update; `closure` computes the loss, where it is given."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        trained = [(group, each) for group in self.param_groups for each in group["params"] if each.grad is not None]
        utilities = [self._utility(group, parameter) for group, parameter in trained]
        if not trained:
            return loss
        largest = torch.stack([utility.max().to(utilities[0]) for utility in utilities]).max()
        scale = torch.where(largest > 0, largest, torch.inf)
        for (group, parameter), utility in zip(trained, utilities, strict=True):
            gate = 1 - torch.sigmoid(utility / scale.to(utility))
            noise = normal_like(parameter, self._generator) * group["sigma"]
            parameter.mul_(1 - group["lr"] * group["weight_decay"])
            parameter.sub_((self._direction(group, parameter) + noise) * gate, alpha=2 * group["lr"])
        return loss

    def _utility(self, group: dict[str, Any], parameter: Parameter) -> Tensor:
        """Return the utility of each weight, corrected for the short average."""
        state, beta = self.state[parameter], group["beta_utility"]
        state.setdefault("step", 0)
        state.setdefault("utility", torch.zeros_like(parameter))
        state["step"] += 1
        state["utility"].mul_(beta).sub_(_gradient(parameter) * parameter, alpha=1 - beta)
        corrected: Tensor = state["utility"] / (1 - beta ** state["step"])
        return corrected

    def _direction(self, group: dict[str, Any], parameter: Parameter) -> Tensor:
        gradient = _gradient(parameter)
        if not group["adaptive"]:
            return gradient
        state, (beta1, beta2) = self.state[parameter], group["betas"]
        mean = state.setdefault("exp_avg", torch.zeros_like(parameter)).lerp_(gradient, 1 - beta1)
        square = state.setdefault("exp_avg_sq", torch.zeros_like(parameter)).lerp_(gradient.square(), 1 - beta2)
        corrections = 1 - beta1 ** state["step"], 1 - beta2 ** state["step"]
        direction: Tensor = mean / corrections[0] / ((square / corrections[1]).sqrt() + group["eps"])
        return direction

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_generator": self._generator}


def _gradient(parameter: Parameter) -> Tensor:
    assert parameter.grad is not None
    return parameter.grad
