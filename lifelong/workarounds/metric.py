"""Mends asymmetric metric learning (ER-AML)."""

from __future__ import annotations

from typing import Any

import torch
from avalanche.training import AMLCriterion
from avalanche.training.supervised import ER_AML
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize

from lifelong.data.drawing import Draws


class WorkingERAML(ER_AML):
    """Mends Avalanche's `ER_AML`, which moves the features of new samples to their class and away from others.

    - *Training may never end.* Samples to compare with are drawn in full batches of one class. If the memory has fewer
      samples of a class than a batch, the loader searches for one for ever. Here the draw takes what there is.
    - *The strategy cannot be pickled*, because its loaders are running generators. Here they are objects without any
      running state (`lifelong.data.drawing.Draws`).
    - *Negatives come from all classes seen* where there are no task labels. In the paper they come from the classes of
      the current experience. Here they do too, unless the experience has only one class.

    Args:
        feature_extractor: maps samples to features.
        temp: the temperature of the similarities, above 0.
        base_temp: scales the loss of the new samples by temp / base_temp.
        **others: the other parameters of `ER_AML`.
    """

    replay_loader: Any

    def __init__(self, *, feature_extractor: torch.nn.Module, temp: float, base_temp: float, **others: Any) -> None:
        super().__init__(feature_extractor=feature_extractor, temp=temp, base_temp=base_temp, **others)
        self.aml_criterion = WorkingAML(feature_extractor, temp, base_temp)

    def _before_training_exp(self, **kwargs: Any) -> None:
        super()._before_training_exp(**kwargs)
        if self.replay_loader is not None:
            groups = self.storage_policy.buffer_groups
            current = sorted(set(self.experience.dataset.targets))
            self.replay_loader = Draws(self.storage_policy.buffer, self.batch_size_mem)
            self.pos_neg_loaders = [
                Draws(groups[label].buffer, self.train_mb_size)
                for label in (current if len(current) > 1 else sorted(groups))
            ]


class WorkingAML(AMLCriterion):
    """Mends the loss of ER-AML (`AMLCriterion`): new samples are contrasted, recalled ones are classified.

    - *The softmax mixes anchors up.* The similarity of anchor i and sample j is normalised by the maximum and the sum
      of anchor j, because a row is subtracted where a column is needed. So the loss of one new sample depends on the
      others. Here each anchor is normalised by its own maximum and sum.
    - *A batch with no positive or no negative to draw raises* `RuntimeError`. Here `WorkingERAML` offers samples of at
      least two classes.

    Args:
        feature_extractor: maps samples to features.
        temp: the temperature of the similarities, above 0.
        base_temp: scales the contrastive loss by temp / base_temp.
    """

    def __init__(self, feature_extractor: torch.nn.Module, temp: float, base_temp: float) -> None:
        super().__init__(feature_extractor, temp, base_temp)

    def __call__(
        self,
        input_in: Tensor,
        target_in: Tensor,
        task_in: Tensor,
        output_buffer: Tensor,
        target_buffer: Tensor,
        pos_neg_replay: tuple[Tensor, ...],
    ) -> Tensor:
        del task_in  # the loss is the same with task labels
        x, y, _ = pos_neg_replay
        same = target_in[:, None] == y
        # for each new sample one of its class, then for each one of another class
        drawn = torch.cat([torch.multinomial(able.float(), 1)[:, 0] for able in (same, ~same)])
        anchors = normalize(self.feature_extractor(input_in))
        others = normalize(self.feature_extractor(x[drawn]))
        metric = self.contrast(anchors, others, target_in, y[drawn])
        return metric + cross_entropy(output_buffer, target_buffer)

    def contrast(self, anchors: Tensor, others: Tensor, anchor_labels: Tensor, labels: Tensor) -> Tensor:
        """Return the supervised contrastive loss (Khosla et al. 2020, arXiv:2004.11362, equation 2), a scalar.

        With anchors a, the others o, and P(a) those of the others that are of the anchor's class, the loss is
        the mean over a of -(temp / base_temp) mean_{p in P(a)} ln(exp(a p / temp) / sum_o exp(a o / temp)).

        Args:
            anchors: features of length 1, of shape (n, width).
            others: the features that they are compared with, of length 1 and shape (m, width). There must be one of
                each anchor's class.
            anchor_labels: the classes of the anchors, int64, of shape (n,).
            labels: the classes of the others, int64, of shape (m,).
        """
        likely = (anchors @ others.T / self.temp).log_softmax(dim=1)
        same = (anchor_labels[:, None] == labels).to(likely.dtype)
        mean = (same * likely).sum(dim=1) / same.sum(dim=1)
        loss: Tensor = -self.temp / self.base_temp * mean.mean()
        return loss
