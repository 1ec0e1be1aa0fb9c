"""What taking a weight out does to the loss, to second order."""

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
    """Optimal brain damage's saliency (LeCun et al. 1990): the sum of h w^2 / 2 over a unit's fan-in.

    h is the diagonal of the Hessian of the last batch's loss, in eval mode, estimated by Hutchinson's method: the mean
    of v (H v) over random vectors v of signs, by differentiating twice. (The paper backpropagates an approximation that
    is never negative; this is negative where the loss is concave.) It costs so many backward passes when it is asked,
    and nothing else; it needs a batch, which there is none of when an experience has just begun. Biases do not count.

    Args:
        draws: of v, at least 1.

    Raises:
        UsageError: if there are fewer.
    """

    draws: int = 16

    def __post_init__(self) -> None:
        if self.draws < 1:
            raise UsageError(f"Curvature: draws = {self.draws}; the least is 1")

    def __call__(self, moment: Moment, layer: str) -> Tensor:
        if moment.batch is None:
            raise UsageError("Curvature: there is no batch before an experience's first update; ask it at a later time")
        network, found = moment.structure.network, moment.layer(layer)
        slots = found.slots_of(Role.FAN_IN, Role.TIED)
        weights = [network.get_parameter(slot.tensor) for slot in slots]
        loss = run(network, moment.closure, []).loss
        curvatures = hessian_diagonal(loss, weights, self.draws, moment.generator)
        total = torch.zeros(found.units)
        for slot, weight, curvature in zip(slots, weights, curvatures, strict=True):
            total = total.to(weight.device) + along_units(slot, curvature * weight.detach().square() / 2)
        return total


def hessian_diagonal(loss: Tensor, weights: Sequence[Tensor], draws: int, generator: Generator) -> list[Tensor]:
    """Hutchinson's estimate of the diagonal of a loss's Hessian, as tensors of the weights' shapes.

    Args:
        loss: a scalar, with its graph.
        weights: what it is differentiated by; those that are not trained have the curvature 0.
        draws: how many random vectors of signs.
        generator: where they are drawn, on the CPU.
    """
    found = [torch.zeros_like(weight, requires_grad=False) for weight in weights]
    trained = [number for number, weight in enumerate(weights) if weight.requires_grad]
    if not trained or not loss.requires_grad:
        return found
    inputs = [weights[number] for number in trained]
    with torch.enable_grad():
        slopes = torch.autograd.grad(loss, inputs, create_graph=True, materialize_grads=True)
        for _ in range(draws):
            signs = [_signs(slope, generator) for slope in slopes]
            product = torch.stack([(slope * sign).sum() for slope, sign in zip(slopes, signs, strict=True)]).sum()
            if not product.requires_grad:  # the loss is linear
                break
            seconds = torch.autograd.grad(product, inputs, retain_graph=True, materialize_grads=True)
            for number, sign, second in zip(trained, signs, seconds, strict=True):
                found[number] += sign * second / draws
    return found


def _signs(like: Tensor, generator: Generator) -> Tensor:
    return torch.randint(2, like.shape, generator=generator).mul_(2).sub_(1).to(like)


__all__ = ["Curvature", "hessian_diagonal"]
