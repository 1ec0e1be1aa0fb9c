"""A memory of samples whose gradients differ from one another."""

from __future__ import annotations

import torch
from avalanche.training.templates import SupervisedTemplate
from torch import Tensor

from ..replay.recalling import Recalling
from .sample_gradients import Batch, cosines


class GreedySelection(Recalling):
    """Recalls at random from a memory that samples enter whose gradients point away from those compared with.

    Each sample is offered once: when it is first trained on, before the step.

    Args:
        mem_size: samples in the memory.
        batch_size: samples recalled for each batch.
        compared: samples of the memory that a new one is compared with.
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
        """One more than the largest cosine of each new sample's gradient and some of the memory's, of shape (n,)."""
        if not self.memory:
            return torch.ones(len(new[0]), device=strategy.device)
        known = Batch(*self._drawn(self.compared))
        alike = cosines(strategy.model, strategy._criterion, Batch(*new), known)
        return 1 + alike.max(dim=1).values

    def _replace(self, new: list[Tensor], scores: Tensor) -> None:
        """Those that point away from the memory each take the place of a sample that does so less, by chance."""
        able = (scores < 1).nonzero().flatten()[: self.mem_size]
        if not len(able):
            return
        places = torch.multinomial(self.scores.clamp(min=torch.finfo(scores.dtype).eps), len(able))
        odds = self.scores[places] / (self.scores[places] + scores[able])
        wins = torch.rand(len(able), device=odds.device) < odds
        for column, entering in zip([*self.memory, self.scores], [*new, scores], strict=True):
            column[places[wins]] = entering[able[wins]]
