"""Replay of features, and distillation of features."""

from __future__ import annotations

from typing import Any

import torch
from avalanche.models.utils import FeatureExtractorModel
from avalanche.training.plugins.feature_distillation import FeatureDistillationPlugin
from avalanche.training.supervised import FeatureReplay
from avalanche.training.templates import SupervisedTemplate
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.utils.data import default_collate

from lifelong.workarounds.rehearsal import SortedSet


class WorkingFeatureReplay(FeatureReplay):
    """Is feature replay whose losses are as the paper describes, and which can be copied, pickled and evaluated.

    Faults: new samples compete with old classes too, because the mask of the asymmetric loss, which should prevent
    this, covers all classes seen. An evaluation draws from the memory, so that the training after it sees other
    batches. The memory's loader is a running generator, which cannot be pickled, and gives nothing where the memory is
    smaller than a batch. The network keeps its last features together with their graph, so that it cannot be copied.
    What is left over of the memory goes to classes in the order of a set, which a pickled copy need not keep.
    """

    def __init__(self, **parameters: Any) -> None:
        super().__init__(**parameters)
        self.storage_policy.seen_classes = SortedSet()
        taken_apart: Any = self.model
        self.model: Any = _PassingFeatures(taken_apart.feature_extractor, taken_apart.train_classifier)
        self._memory: tuple[Tensor, Tensor] | None = None

    def _after_training_exp(self, **kwargs: Any) -> None:
        super()._after_training_exp(**kwargs)
        self.replay_loader = None
        features, labels, *_ = default_collate(list(self.storage_policy.buffer))
        self._memory = features.to(self.device), labels.to(self.device)

    def criterion(self, **_: Any) -> Tensor:
        """Return the loss of the current batch; in training, half is asymmetric, half is the classifier's alone."""
        if self._memory is None or not self.is_training:
            plain: Tensor = self._criterion(self.mb_output, self.mb_y)
            return plain
        features, labels = self._memory
        drawn = torch.randperm(len(labels))[: self.batch_size_mem].to(self.device)
        share = 1 / (self.experience.current_experience + 1)
        replayed = cross_entropy(self.model.train_classifier(features[drawn]), labels[drawn])
        current = cross_entropy(self.model.train_classifier(self.model.features.detach()), self.mb_y)
        balanced: Tensor = (1 - share) * replayed + share * current
        return 0.5 * self._asymmetric() + 0.5 * balanced

    def _asymmetric(self) -> Tensor:
        """Return the cross-entropy of the new samples among the classes of their experience."""
        absent = torch.ones(self.mb_output.shape[1], dtype=torch.bool, device=self.device)
        absent[sorted(self.experience.classes_in_this_experience)] = False
        return cross_entropy(self.mb_output.masked_fill(absent, -torch.inf), self.mb_y)


class _PassingFeatures(FeatureExtractorModel):
    """Leaves its last features out of a copy, because their graph cannot be copied."""

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "features": None}


class WorkingFeatureDistillation(FeatureDistillationPlugin):
    """Is feature distillation whose teacher does not change.

    Fault: the teacher stays in training mode, so that its dropout is drawn and its batch statistics follow new data.
    """

    def after_training_exp(self, strategy: SupervisedTemplate, **kwargs: Any) -> None:
        super().after_training_exp(strategy, **kwargs)
        self.prev_model.eval().requires_grad_(False)
