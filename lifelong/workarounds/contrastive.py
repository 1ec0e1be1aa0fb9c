"""Supervised contrastive replay (SCR)."""

from __future__ import annotations

from typing import Any

import torch
from avalanche.training.supervised import SCR
from torch import Tensor, nn

from lifelong.data.drawing import Reader
from lifelong.workarounds.rehearsal import SortedSet


class WorkingSCR(SCR):
    """Is supervised contrastive replay whose class means are those of its memory, in the features of the network now.

    Faults: Avalanche averages each mean half and half with that of the experience before, whose features have moved
    since. What is left over of the memory goes to classes in the order of a set, which a pickled copy need not keep.
    The `_criterion` takes views only, and raises an error for the network's answers in evaluation.

    The model's `eval_classifier` must have `forget` and `update`.
    """

    def __init__(self, **parameters: Any) -> None:
        super().__init__(**parameters)
        self._criterion = _Loss(self.train_loss, self.eval_loss)
        self.replay_plugin.storage_policy.seen_classes = SortedSet()

    @torch.no_grad()
    def compute_class_means(self) -> None:
        means = self.model.eval_classifier
        means.forget()
        for x, y, *_ in Reader(self.replay_plugin.storage_policy.buffer.eval()).in_order(self.eval_mb_size):
            means.update(self.model.feature_extractor(x.to(self.device)), y.to(self.device))


class _Loss(nn.Module):
    """Takes the loss of views of samples, of shape (n, views, width), and of scores, of shape (n, classes)."""

    def __init__(self, of_views: nn.Module, of_scores: nn.Module) -> None:
        super().__init__()
        self.of_views, self.of_scores = of_views, of_scores

    def forward(self, output: Tensor, y: Tensor) -> Tensor:
        loss: Tensor = (self.of_views if output.dim() == 3 else self.of_scores)(output, y)
        return loss
