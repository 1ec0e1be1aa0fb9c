"""Mends the replay of features, and feature distillation."""

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
    """Mends Avalanche's `FeatureReplay`.

    - *New samples push old classes down.* The asymmetric loss is meant to compare new samples with the classes of their
      own experience only, but its mask lets in all classes seen so far. Here it lets in the experience's own classes.
    - *Evaluation changes the training after it*, because it draws batches from the memory. Here only training draws.
    - *The strategy cannot be pickled*, because the memory's loader is a running generator. If the memory is smaller
      than a batch, that loader also yields nothing, and training never ends. Here batches are drawn from tensors.
    - *The network cannot be copied*, because it keeps its last features with their graph. Here copies leave them out.
    - *Resumed runs may differ.* Where the memory does not divide evenly by the classes, the rest goes to classes in the
      order of a set, which a pickled copy need not keep. Here the set is a `SortedSet`.

    Args:
        **parameters: the parameters of `FeatureReplay`.
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
        """Return the loss of the current batch, a scalar.

        In the first experience and in evaluation it is the plain loss. Later, half of it is the asymmetric loss of the
        new samples. The other half trains the classifier alone, on stored features and on new ones; after k experiences
        the new ones have the share 1 / (k + 1).
        """
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
        """Return the cross-entropy of the new samples among the classes of their experience, a scalar."""
        absent = torch.ones(self.mb_output.shape[1], dtype=torch.bool, device=self.device)
        absent[sorted(self.experience.classes_in_this_experience)] = False
        return cross_entropy(self.mb_output.masked_fill(absent, -torch.inf), self.mb_y)


class _PassingFeatures(FeatureExtractorModel):
    """Leaves its last features out of a copy, because their graph cannot be copied."""

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "features": None}


class WorkingFeatureDistillation(FeatureDistillationPlugin):
    """Mends Avalanche's feature distillation (`FeatureDistillationPlugin`), whose teacher changes.

    The teacher is a copy of the network that stays in training mode, so that its dropout is drawn for each batch, and
    the statistics of its batch normalisation follow new data. Here the teacher is in eval mode, and is not trained.
    """

    def after_training_exp(self, strategy: SupervisedTemplate, **kwargs: Any) -> None:
        super().after_training_exp(strategy, **kwargs)
        self.prev_model.eval().requires_grad_(False)
