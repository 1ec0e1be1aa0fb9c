"""Continual prototype evolution: prototypes of classes that move with the features of their samples."""

from __future__ import annotations

import torch
from avalanche.core import SupervisedPlugin
from avalanche.training.templates import SupervisedTemplate
from torch import Tensor, nn
from torch.nn.functional import normalize, one_hot

from lifelong.models.given import Given
from lifelong.workarounds.prototypes import WorkingPPPloss

from .._drawing import normal_like, own_generator


class Prototypes(nn.Module):
    """Classifies by cosine similarity: features are embedded on a sphere, where each class has a prototype.

    Args:
        embedding: a linear layer, with as many outputs as there are classes.
        temperature: what the similarities are divided by, above zero.

    Attributes:
        places: the prototypes, of shape (classes, dimensions) and length 1.
        seen: whether a class has a prototype, of shape (classes,).
    """

    places: Tensor
    seen: Tensor

    def __init__(self, embedding: nn.Linear, temperature: float) -> None:
        super().__init__()
        self.embedding = embedding
        self.temperature = temperature
        classes = embedding.out_features
        drawn = normal_like(embedding.weight.new_empty(classes, classes), own_generator("prototypes"))
        self.register_buffer("places", normalize(drawn))
        self.register_buffer("seen", torch.zeros(classes, dtype=torch.bool, device=drawn.device))

    def embed(self, features: Tensor) -> Tensor:
        """Embed features of shape (n, width) as vectors of shape (n, dimensions) and length 1."""
        return normalize(self.embedding(features))

    def forward(self, features: Tensor) -> Tensor:
        """Return similarities over the temperature, of shape (n, classes); those without a prototype have the least."""
        similarity = self.embed(features) @ self.places.T
        return torch.where(self.seen, similarity, -1.0) / self.temperature

    @torch.no_grad()
    def move(self, embedded: Tensor, y: Tensor, momentum: float) -> None:
        """Move the prototypes of a batch's classes towards the mean of its embedded samples."""
        belongs = one_hot(y, len(self.places)).to(embedded)
        means = normalize(belongs.T @ embedded)
        moved = normalize(torch.lerp(means, self.places, momentum))
        self.places = torch.where(belongs.any(0)[:, None], moved, self.places)


class EvolvesPrototypes(SupervisedPlugin):
    """Replaces the criterion by the pseudo-prototypical proxy loss, and moves prototypes at each batch.

    Args:
        momentum: share of a prototype that is kept at each batch, in [0, 1].
        temperature: temperature of the loss.
    """

    def __init__(self, momentum: float, temperature: float) -> None:
        super().__init__()
        self.momentum = momentum
        self.temperature = temperature
        self._features = Given()

    def before_training_iteration(self, strategy: SupervisedTemplate, **_: object) -> None:
        strategy.model.classifier.seen[strategy.mb_y] = True

    def before_forward(self, strategy: SupervisedTemplate, **_: object) -> None:
        self._features.watch(strategy.model.classifier)

    def after_forward(self, *_: object, **__: object) -> None:
        self._features.leave()

    def before_backward(self, strategy: SupervisedTemplate, **_: object) -> None:
        classifier = strategy.model.classifier
        embedded = classifier.embed(self._features.take())
        prototypes = {c: classifier.places[c : c + 1] for c in classifier.seen.nonzero().flatten().tolist()}
        strategy.loss = WorkingPPPloss(prototypes, self.temperature)(embedded, strategy.mb_y)
        classifier.move(embedded.detach(), strategy.mb_y, self.momentum)
