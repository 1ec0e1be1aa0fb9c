"""Meta-experience replay (MER): steps on one sample after another, which the weights follow only in part."""

from __future__ import annotations

from typing import Any

import torch
from avalanche.models import avalanche_forward
from avalanche.training.templates import SupervisedTemplate
from torch import Tensor

from lifelong.structure.contexts import evaluating

from ..replay.recalling import RecallingEarlier


class MER(SupervisedTemplate):
    """Applies Reptile within and across sequences of single samples, new ones and recalled ones.

    Args:
        memory: joins to each batch the samples for all its sequences; it must be among the plug-ins.
        sequences: number of sequences for each batch; each has all new samples, and its share of the recalled ones.
        alpha: learning rate of the steps on single samples.
        beta: share of their way that the weights keep after each sequence.
        gamma: share of their way that the weights keep after all sequences.
        template: arguments of Avalanche's `SupervisedTemplate`.
    """

    def __init__(
        self, *, memory: RecallingEarlier, sequences: int, alpha: float, beta: float, gamma: float, **template: Any
    ) -> None:
        super().__init__(**template)
        self.memory, self.sequences = memory, sequences
        self.alpha, self.beta, self.gamma = alpha, beta, gamma

    def backward(self) -> None:
        """Do nothing: each of the steps on single samples takes its own gradient."""

    @torch.no_grad()
    def optimizer_step(self) -> None:
        """Make the whole update of a batch, in place of the optimizer's step."""
        weights = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        start = _copied(weights)
        with evaluating(self.model):
            for positions in self._orders():
                before = _copied(weights)
                for position in positions:
                    self._step(weights, slice(position, position + 1))
                _lerp(weights, before, self.beta)
        _lerp(weights, start, self.gamma)

    def _orders(self) -> list[list[int]]:
        """Return, for each sequence, the positions of its samples in the batch, in random order."""
        new, size = torch.arange(self.memory.fresh), len(self.mb_x)
        shares = torch.arange(self.memory.fresh, size).tensor_split(self.sequences)
        members = [torch.cat([new, share]) for share in shares]
        return [some[torch.randperm(len(some))].tolist() for some in members]

    def _step(self, weights: list[torch.nn.Parameter], at: slice) -> None:
        with torch.enable_grad():
            output = avalanche_forward(self.model, self.mb_x[at], self.mb_task_id[at])
            slopes = torch.autograd.grad(self._criterion(output, self.mb_y[at]), weights, allow_unused=True)
        used = [(weight, slope) for weight, slope in zip(weights, slopes, strict=True) if slope is not None]
        torch._foreach_add_([weight for weight, _ in used], [slope for _, slope in used], alpha=-self.alpha)


def _copied(weights: list[torch.nn.Parameter]) -> list[Tensor]:
    return [weight.detach().clone() for weight in weights]


def _lerp(weights: list[torch.nn.Parameter], start: list[Tensor], share: float) -> None:
    """Let the weights keep this share of their way from the start."""
    for weight, first in zip(weights, start, strict=True):
        weight.copy_(first.lerp(weight, share))
