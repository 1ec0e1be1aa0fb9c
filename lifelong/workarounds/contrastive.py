"""Mends supervised contrastive replay (SCR)."""

from __future__ import annotations

from typing import Any

import torch
from avalanche.training.supervised import SCR
from torch import Tensor, nn

from lifelong.data.drawing import Reader
from lifelong.workarounds.rehearsal import SortedSet


class WorkingSCR(SCR):
    """Mends Avalanche's `SCR`.

    - *Class means are out of date.* After each experience, the new mean of a class is averaged half and half with the
      mean before, which was taken in features that have moved since. Here all means are taken anew from the memory, in
      the features of the network as it is now.
    - *Resumed runs may differ.* Where the memory does not divide evenly by the classes, the rest goes to classes in the
      order of a set, which a pickled copy need not keep. Here the set is a `SortedSet`.
    - *The criterion of training raises in evaluation*: it takes several views of each sample, but evaluation gives it
      scores. Here the criterion takes both.

    The model's `eval_classifier` must have the methods `forget` and `update`.

    Args:
        **parameters: the parameters of `SCR`.
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
    """Takes one loss for views of samples, of shape (n, views, width), another for scores, of shape (n, classes)."""

    def __init__(self, of_views: nn.Module, of_scores: nn.Module) -> None:
        super().__init__()
        self.of_views, self.of_scores = of_views, of_scores

    def forward(self, output: Tensor, y: Tensor) -> Tensor:
        loss: Tensor = (self.of_views if output.dim() == 3 else self.of_scores)(output, y)
        return loss
