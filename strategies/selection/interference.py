"""Maximally interfered retrieval: samples of a memory whose loss the next step would raise most."""

from __future__ import annotations

import torch
from avalanche.models import avalanche_forward
from avalanche.training.templates import SupervisedTemplate
from torch import Tensor
from torch.nn.functional import cross_entropy

from lifelong.structure.contexts import evaluating, standing_in

from ..replay.recalling import RecallingEarlier, balanced_memory
from .ahead import one_step_ahead


class MaximallyInterfered(RecallingEarlier):
    """Draws some samples from the memory, and recalls those whose loss one step on the new batch would raise most.

    Args:
        mem_size: number of samples in the memory.
        batch_size: number of samples recalled for each batch.
        candidates: number of samples that they are chosen from.
    """

    def __init__(self, mem_size: int, batch_size: int, candidates: int) -> None:
        super().__init__(balanced_memory(mem_size), candidates)
        self.batch_size = batch_size

    def recall(self, strategy: SupervisedTemplate) -> list[Tensor] | None:
        candidates = super().recall(strategy)
        if candidates is None:
            return None
        raised = interference(strategy, *candidates)
        chosen = raised.topk(min(self.batch_size, len(raised))).indices
        return [column[chosen] for column in candidates]


def interference(strategy: SupervisedTemplate, x: Tensor, y: Tensor, task_labels: Tensor) -> Tensor:
    """Return by how much one step of gradient descent on the strategy's batch raises each sample's loss, of shape (n,).

    It is the score s_MI-1 of Aljundi et al. 2019, section 3.1.
    """
    network = strategy.model
    ahead = one_step_ahead(strategy)
    with torch.no_grad(), evaluating(network):
        before = cross_entropy(avalanche_forward(network, x, task_labels), y, reduction="none")
        with standing_in(network, ahead):
            after = cross_entropy(avalanche_forward(network, x, task_labels), y, reduction="none")
    return after - before
