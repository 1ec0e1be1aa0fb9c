"""Asymmetric metric learning: new samples are drawn to their class and away from others by their features alone."""

from __future__ import annotations

from typing import Any

import torch
from avalanche.training import AMLCriterion
from avalanche.training.supervised import ER_AML
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize

from lifelong.data.drawing import Draws


class WorkingERAML(ER_AML):
    """ER-AML that draws from small memories too, and can be pickled between experiences.

    Faults: positives and negatives are drawn in whole batches of one class, and waited for without end where the
    memory has fewer of it than a batch; the loaders are running generators, of which those are kept. Negatives come
    from all classes wherever there are no task labels, those of the paper from the current experience's; here, too, but
    where it has one class only.
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
    """The loss of ER-AML: new samples are contrasted, recalled ones classified.

    Faults: the largest similarity of each anchor, and the sum over what it is compared with, are taken from the columns
    of the other anchors. That of a batch with nothing to draw raises.

    Args:
        feature_extractor: from samples to features.
        temp: of the similarities.
        base_temp: by which the loss is scaled, to temp / base_temp.
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
        del task_in  # streams with task labels are none of its business
        x, y, _ = pos_neg_replay
        same = target_in[:, None] == y
        drawn = torch.cat([torch.multinomial(able.float(), 1)[:, 0] for able in (same, ~same)])
        anchors = normalize(self.feature_extractor(input_in))
        others = normalize(self.feature_extractor(x[drawn]))
        metric = self.contrast(anchors, others, target_in, y[drawn])
        return metric + cross_entropy(output_buffer, target_buffer)

    def contrast(self, anchors: Tensor, others: Tensor, anchor_labels: Tensor, labels: Tensor) -> Tensor:
        """The supervised contrastive loss (Khosla et al. 2020), a scalar.

        Args:
            anchors: of shape (n, width).
            others: what they are compared with, of shape (m, width); to each anchor there is one of its class.
            anchor_labels: of shape (n,).
            labels: of shape (m,).
        """
        likely = (anchors @ others.T / self.temp).log_softmax(dim=1)
        same = (anchor_labels[:, None] == labels).to(likely.dtype)
        mean = (same * likely).sum(dim=1) / same.sum(dim=1)
        loss: Tensor = -self.temp / self.base_temp * mean.mean()
        return loss
