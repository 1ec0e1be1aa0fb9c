"""Greedy gradient-based sample selection: a memory of samples whose gradients differ from one another."""

from __future__ import annotations

import torch
from avalanche.training.templates import SupervisedTemplate
from torch import Tensor

from ..replay.recalling import Recalling
from .sample_gradients import Batch, cosines


class GreedySelection(Recalling):
    """Recalls random samples from a memory; a sample may enter if its gradient points away from those compared with it.

    Each sample is offered once: when it is first trained on, before the step.

    Args:
        mem_size: number of samples in the memory.
        batch_size: number of samples recalled for each batch.
        compared: number of samples of the memory that a new one is compared with.
    """

    def __init__(self, mem_size: int, batch_size: int, compared: int) -> None:
        super().__init__()
        self.mem_size, self.batch_size, self.compared = mem_size, batch_size, compared
        self.memory: list[Tensor] = []
        self.scores = torch.empty(0)

    def recall(self, strategy: SupervisedTemplate) -> list[Tensor] | None:
        recalled = self._drawn(self.batch_size) if self.memory else None
        if strategy.clock.train_exp_epochs == 0:
            self._offer(strategy)
        return recalled

    def _drawn(self, size: int) -> list[Tensor]:
        at = torch.randperm(len(self.scores))[:size].to(self.scores.device)
        return [column[at] for column in self.memory]

    @torch.no_grad()
    def _offer(self, strategy: SupervisedTemplate) -> None:
        new = [column.detach() for column in strategy.mbatch]
        scores = self._similarities(strategy, new)
        room = self.mem_size - len(self.scores)
        if room > 0:
            kept = self.memory or [column[:0] for column in new]
            self.memory = [torch.cat([old, column[:room]]) for old, column in zip(kept, new, strict=True)]
            self.scores = torch.cat([self.scores.to(scores.device), scores[:room]])
        self._replace([column[max(room, 0) :] for column in new], scores[max(room, 0) :])

    def _similarities(self, strategy: SupervisedTemplate, new: list[Tensor]) -> Tensor:
        """Return 1 + each new gradient's largest cosine with some of the memory's, in [0, 2], of shape (n,)."""
        if not self.memory:
            return torch.ones(len(new[0]), device=strategy.device)
        known = Batch(*self._drawn(self.compared))
        alike = cosines(strategy.model, strategy._criterion, Batch(*new), known)
        return 1 + alike.max(dim=1).values

    def _replace(self, new: list[Tensor], scores: Tensor) -> None:
        """Let new samples that point away from the memory take, by chance, the places of samples that do so less.

        As in the paper's algorithm 2, a place is drawn in proportion to the score C_i of the sample that holds it, and
        the new sample, of score c, takes it with probability C_i / (C_i + c).
        """
        able = (scores < 1).nonzero().flatten()[: self.mem_size]
        if not len(able):
            return
        places = torch.multinomial(self.scores.clamp(min=torch.finfo(scores.dtype).eps), len(able))
        odds = self.scores[places] / (self.scores[places] + scores[able])
        wins = torch.rand(len(able), device=odds.device) < odds
        for column, entering in zip([*self.memory, self.scores], [*new, scores], strict=True):
            column[places[wins]] = entering[able[wins]]
