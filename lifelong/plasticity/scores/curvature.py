"""A score from second derivatives: how much the loss changes if a unit's weights are taken out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from lifelong.errors import UsageError
from lifelong.plasticity.moment import Moment
from lifelong.plasticity.scores.base import UnitScore
from lifelong.plasticity.weights import along_units
from lifelong.structure import Role
from lifelong.structure.starting.capture import run


@dataclass
class Curvature(UnitScore):
    """Scores a unit by its saliency in optimal brain damage (LeCun et al. 1990): the sum of h w^2 / 2 over its fan-in.

    h is the diagonal of the Hessian of the last batch's loss, in eval mode. Hutchinson's method estimates it as the
    mean of v (H v) over vectors v of random signs, by differentiating twice. The paper backpropagates an approximation
    that is never negative; this one is negative where the loss is concave. Biases do not count.

    The score costs `draws` backward passes whenever it is asked, and nothing at other times. It needs a batch, so that
    it cannot be asked before the first update of an experience.

    Args:
        draws: how many vectors v are drawn, at least 1.

    Raises:
        UsageError: if `draws` is below 1, or, when it is asked, if there is no batch.
    """

    draws: int = 16

    def __post_init__(self) -> None:
        if self.draws < 1:
            raise UsageError(f"Curvature: draws = {self.draws}; the least is 1")

    def __call__(self, moment: Moment, layer: str) -> Tensor:
        if moment.batch is None:
            raise UsageError("Curvature: there is no batch before an experience's first update; ask it at a later time")
        network, layer_now = moment.structure.network, moment.layer(layer)
        slots = layer_now.slots_of(Role.FAN_IN, Role.TIED)
        weights = [network.get_parameter(slot.tensor) for slot in slots]
        # In eval mode, so that no random number and no running statistic changes.
        loss = run(network, moment.closure, []).loss
        curvatures = hessian_diagonal(loss, weights, self.draws, moment.generator)
        total = torch.zeros(layer_now.units)
        for slot, weight, curvature in zip(slots, weights, curvatures, strict=True):
            total = total.to(weight.device) + along_units(slot, curvature * weight.detach().square() / 2)
        return total


def hessian_diagonal(loss: Tensor, weights: Sequence[Tensor], draws: int, generator: Generator) -> list[Tensor]:
    """Estimate the diagonal of a loss's Hessian by Hutchinson's method: the mean of v (H v) over random signs v.

    Args:
        loss: a scalar with its graph.
        weights: the parameters by which it is differentiated, of any shapes.
        draws: how many vectors of signs are drawn, at least 1.
        generator: draws the signs, on the CPU.

    Returns:
        A tensor of each weight's shape; 0 for a weight that is not trained.

    With one weight the Hessian is its own diagonal, and the estimate is exact:

    >>> weight = torch.tensor([3.0], requires_grad=True)
    >>> hessian_diagonal((weight**3).sum(), [weight], draws=1, generator=Generator())
    [tensor([18.])]
    """
    diagonals = [torch.zeros_like(weight, requires_grad=False) for weight in weights]
    trained = [number for number, weight in enumerate(weights) if weight.requires_grad]
    if not trained or not loss.requires_grad:
        return diagonals
    inputs = [weights[number] for number in trained]
    # The caller may have switched gradients off. The graph of the slopes is kept, to differentiate them again.
    with torch.enable_grad():
        slopes = torch.autograd.grad(loss, inputs, create_graph=True, materialize_grads=True)
        for _ in range(draws):
            # One product over all weights: the signs of different weights cancel each other out in the mean.
            signs = [_signs(slope, generator) for slope in slopes]
            product = torch.stack([(slope * sign).sum() for slope, sign in zip(slopes, signs, strict=True)]).sum()
            if not product.requires_grad:  # the loss is linear in all weights, so that there is no curvature
                break
            # The graph is kept, because the next draw differentiates the same slopes.
            seconds = torch.autograd.grad(product, inputs, retain_graph=True, materialize_grads=True)
            for number, sign, second in zip(trained, signs, seconds, strict=True):
                diagonals[number] += sign * second / draws
    return diagonals


def _signs(like: Tensor, generator: Generator) -> Tensor:
    """Draw -1 or 1 for each element of a tensor."""
    # Drawn on the CPU, so that every device gets the same signs.
    return torch.randint(2, like.shape, generator=generator).mul_(2).sub_(1).to(like)
