"""Asymmetric metric learning (ER-AML): the loss moves new samples' features to their class and away from others."""

from __future__ import annotations

from typing import Any

import torch
from avalanche.training import AMLCriterion
from avalanche.training.supervised import ER_AML
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize

from lifelong.data.drawing import Draws


class WorkingERAML(ER_AML):
    """Is ER-AML that draws from small memories too, and can be pickled between experiences.

    Faults: Avalanche draws positives and negatives in whole batches of one class, and the draw never ends where the
    memory has fewer samples of that class than a batch. The loaders are running generators, which cannot be pickled.
    Without task labels, negatives come from all classes. In the paper they come from the classes of the current
    experience; here they do too, unless it has only one class.
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
    """Is the loss of ER-AML: new samples are contrasted, recalled ones are classified.

    Faults: Avalanche takes the largest similarity of each anchor, and the sum over what it is compared with, from the
    columns of the other anchors. The loss of a batch with nothing to draw raises an error.

    Args:
        feature_extractor: maps samples to features.
        temp: temperature of the similarities.
        base_temp: what scales the loss, which is multiplied by temp / base_temp.
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
        drawn = torch.cat([torch.multinomial(able.float(), 1)[:, 0] for able in (same, ~same)])
        anchors = normalize(self.feature_extractor(input_in))
        others = normalize(self.feature_extractor(x[drawn]))
        metric = self.contrast(anchors, others, target_in, y[drawn])
        return metric + cross_entropy(output_buffer, target_buffer)

    def contrast(self, anchors: Tensor, others: Tensor, anchor_labels: Tensor, labels: Tensor) -> Tensor:
        """Return the supervised contrastive loss (Khosla et al. 2020), a scalar.

        Args:
            anchors: features of shape (n, width).
            others: features that they are compared with, of shape (m, width); each anchor has one of its class.
            anchor_labels: classes of the anchors, of shape (n,).
            labels: classes of the others, of shape (m,).
        """
        likely = (anchors @ others.T / self.temp).log_softmax(dim=1)
        same = (anchor_labels[:, None] == labels).to(likely.dtype)
        mean = (same * likely).sum(dim=1) / same.sum(dim=1)
        loss: Tensor = -self.temp / self.base_temp * mean.mean()
        return loss
