"""Quadratic penalties on weights, whose gradient is worked out along with their value."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from avalanche.training.plugins import EWCPlugin
from torch import Tensor

Spring = tuple[Tensor, Tensor]
"""An importance and an anchor, each with as many values as the weight that they hold."""


class FastEWC(EWCPlugin):
    """Elastic weight consolidation whose penalty costs half as much.

    Fault: autograd makes of the penalty ten passes over all weights at each step, for each earlier experience. The
    gradient here is the same, bit for bit.
    """

    def before_backward(self, strategy: Any, **_: object) -> None:
        done = strategy.clock.train_exp_counter
        if not done:
            return
        newest_first = range(done - 1, -1, -1) if self.mode == "separate" else [done - 1]
        held = []
        for name, weight in strategy.model.named_parameters():
            known = [
                (self.importances[i][name], self.saved_params[i][name]) for i in newest_first if self._knows(i, name)
            ]
            held.append((weight, [(one.expand(weight.shape), other.expand(weight.shape)) for one, other in known]))
        strategy.loss += quadratic_penalty(self.ewc_lambda, held)

    def _knows(self, experience: int, name: str) -> bool:
        return name in self.saved_params[experience]


def quadratic_penalty(strength: float, held: Iterable[tuple[Tensor, Sequence[Spring]]]) -> Tensor:
    """strength x importance x (weight - anchor)², summed over all weights and springs; a scalar.

    Its gradient is, bit for bit, what autograd finds for the sum of the same penalties in the opposite order.

    Args:
        strength: the penalty's weight.
        held: weights, each with its springs.
    """
    sprung = [(weight, its) for weight, its in held if its]
    if not sprung:
        return torch.zeros(())
    weights, springs = zip(*sprung, strict=True)
    penalty: Tensor = _Penalty.apply(strength, springs, *weights)
    return penalty


class _Penalty(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, strength: float, springs: Sequence[Sequence[Spring]], *weights: Tensor) -> Tensor:
        pulls: list[Tensor | None] = []
        energy = weights[0].new_zeros(())
        for weight, its in zip(weights, springs, strict=True):
            total: Tensor | None = None
            for importance, anchor in its:
                moved = weight - anchor.view_as(weight)
                pull = (importance.view_as(weight) * (2 * strength)).mul_(moved)
                energy += torch.dot(pull.flatten(), moved.flatten())
                total = pull if total is None else total.add_(pull)
            pulls.append(total)
        ctx.save_for_backward(*pulls)
        return energy / 2

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        return None, None, *(pull * gradients[0] for pull in ctx.saved_tensors)


__all__ = ["FastEWC", "quadratic_penalty"]
