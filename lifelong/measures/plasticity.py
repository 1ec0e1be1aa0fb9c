"""Measures what a network's activations, weights and gradients say of its ability to go on learning.

Each formula is a pure function of tensors; `lifelong.measures.inspection` takes them all of a network.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor

DORMANT_SHARE = 0.01
DORMANT_TAU = 0.025
FROZEN_EPSILON = 0.1


def dormant(activations: Tensor, share: float = DORMANT_SHARE) -> Tensor:
    """Tell which units are other than zero on less than a share of the inputs: `mean_n [h_nu != 0] < share`.

    >>> dormant(torch.tensor([[0.0, 1.0], [0.0, 0.0]]), share=0.25)
    tensor([ True, False])

    Source: Dohare et al. 2024, Loss of plasticity in deep continual learning, doi:10.1038/s41586-024-07711-7, whose
    code has a share of 0.01. Others mean `dormant_redo` by the same name, which is another number.

    Args:
        activations: of shape (samples, units).
        share: in (0, 1].

    Returns:
        Bool, of shape (units,).
    """
    return (activations != 0).float().mean(0) < share


def dormant_redo(activations: Tensor, tau: float = DORMANT_TAU) -> Tensor:
    """Tell which units are far less active than their layer's mean: `mean_n |h_nu| <= tau mean_u mean_n |h_nu|`.

    >>> dormant_redo(torch.tensor([[0.01, -2.0], [0.01, 2.0]]))
    tensor([ True, False])

    Source: Sokar et al. 2023 (ReDo), arXiv:2302.12902, equation 1. In a layer that is silent
    altogether, all units are dormant.

    Args:
        activations: of shape (samples, units).
        tau: at least 0; Sokar et al. use 0.025 and 0.1.

    Returns:
        Bool, of shape (units,).
    """
    activity = activations.abs().mean(0)
    return activity <= tau * activity.mean()


def effective_rank(features: Tensor) -> float:
    """Return `exp(-sum_i p_i ln p_i)` with `p = s / sum_i s` of the singular values s; from 1 to min(samples, units).

    >>> round(effective_rank(torch.eye(3)), 6)
    3.0

    Source: Roy & Vetterli 2007, The effective rank, EUSIPCO. Features are not centred. NaN where all are zero.

    Args:
        features: of shape (samples, units).
    """
    values = torch.linalg.svdvals(features.detach().double())
    p = values / values.sum()
    return float(torch.special.entr(p).sum().exp())


def stable_rank(features: Tensor) -> float:
    """Return `||F||_F^2 / ||F||_2^2`; from 1 to min(samples, units).

    >>> round(stable_rank(torch.diag(torch.tensor([2.0, 1.0]))), 6)
    1.25

    Source: Rudelson & Vershynin 2007, arXiv:math/0503442. Features are not centred. NaN where all are zero.

    The code of Dohare et al. (incremental CIFAR), and others after it, call by this name the number of singular values
    that make up 99 % of their sum, which is something else and larger.

    Args:
        features: of shape (samples, units).
    """
    squares = torch.linalg.svdvals(features.detach().double()).square()
    return float(squares.sum() / squares.max())


def mean_magnitude(weights: Iterable[Tensor]) -> float:
    """Return the mean of `|w|` over all elements of some tensors (Dohare et al. 2024, "weight magnitude").

    It is NaN where there are no elements.
    """
    sums = [(float(weight.detach().abs().sum()), weight.numel()) for weight in weights]
    count = sum(number for _, number in sums)
    return sum(total for total, _ in sums) / count if count else math.nan


def gradient_norm(gradients: Iterable[Tensor]) -> float:
    """Return the Euclidean norm of some tensors, taken as one vector.

    >>> gradient_norm([torch.tensor([3.0]), torch.tensor([[4.0]])])
    5.0
    """
    return math.sqrt(sum(float(gradient.detach().double().square().sum()) for gradient in gradients))


def mutually_frozen(fan_in: Tensor, fan_out: Tensor, epsilon: float = FROZEN_EPSILON) -> Tensor:
    """Tell which units have weights on both sides that are so small that each side stops the other's gradient.

    The condition is `||w_in|| <= epsilon median_u ||w_in||` and `||w_out|| <= epsilon median_u ||w_out||`.

    Source: Zilly et al. 2021, On plasticity, invariance, and mutually frozen weights in sequential task learning. The
    comparison with the layer's median, and epsilon, are our choice: the paper's threshold is not known to us.

    Args:
        fan_in: the norm of what each unit reads with, of shape (units,).
        fan_out: the norm of what each unit is read with, of shape (units,).
        epsilon: above 0.

    Returns:
        Bool, of shape (units,).
    """
    return (fan_in <= epsilon * fan_in.quantile(0.5)) & (fan_out <= epsilon * fan_out.quantile(0.5))
