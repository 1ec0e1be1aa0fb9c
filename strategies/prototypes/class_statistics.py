"""Classifiers that are computed from statistics of each class's features, and not learnt by gradient."""

from __future__ import annotations

from typing import Literal

import torch
from avalanche.core import SupervisedPlugin
from avalanche.training.templates import SupervisedTemplate
from torch import Tensor, nn
from torch.nn.functional import normalize

from lifelong.data.drawing import Reader
from lifelong.models.parts import Parts
from lifelong.structure.contexts import evaluating

Learning = Literal["first", "always", "never"]
"""The experiences in which the features are learnt."""


class ClassStatistics(nn.Module):
    """Gives each class a score, from exact statistics of its samples, whatever batches and order these come in.

    A class without samples has the lowest score that a number can have.

    Args:
        classes: number of classes.
        width: number of features.
        scatters: number of matrices of squared deviations: 0, 1 that all classes share, or one for each class.
    """

    count: Tensor
    mean: Tensor
    scatter: Tensor

    def __init__(self, classes: int, width: int, scatters: int = 0) -> None:
        super().__init__()
        self.register_buffer("count", torch.zeros(classes, dtype=torch.long))
        self.register_buffer("mean", torch.zeros(classes, width, dtype=torch.float64))
        self.register_buffer("scatter", torch.zeros(scatters, width, width, dtype=torch.float64))

    def forward(self, features: Tensor) -> Tensor:
        """Return scores of shape (n, classes), from features of shape (n, width)."""
        scores = self._scores(self._transformed(features))
        return scores.masked_fill(self.count == 0, torch.finfo(scores.dtype).min)

    @torch.no_grad()
    def update(self, features: Tensor, labels: Tensor) -> None:
        """Add samples, as Chan, Golub & LeVeque (1983) do: features of shape (n, width), labels of shape (n,)."""
        features = self._transformed(features).double()
        for label in torch.unique(labels).tolist():
            self._add(label, features[labels == label])

    def forget(self) -> None:
        """Forget all samples."""
        for statistic in (self.count, self.mean, self.scatter):
            statistic.zero_()

    def finish(self) -> None:
        """Is called when the samples of an experience have been added."""

    def _add(self, label: int, features: Tensor) -> None:
        before, new = int(self.count[label]), len(features)
        mean = features.mean(0)
        step = mean - self.mean[label]
        if len(self.scatter):
            within, between = features - mean, step * before / (before + new)
            self.scatter[label % len(self.scatter)] += within.T @ within + new * torch.outer(step, between)
        self.mean[label] += step * new / (before + new)
        self.count[label] += new

    def _transformed(self, features: Tensor) -> Tensor:
        return features

    def _scores(self, features: Tensor) -> Tensor:
        raise NotImplementedError


class NearestMean(ClassStatistics):
    """Scores each class by minus the distance to its mean.

    Args:
        classes: number of classes.
        width: number of features.
        unit: whether features and means are given length one, as Rebuffi et al. 2017 do.
    """

    def __init__(self, classes: int, width: int, unit: bool) -> None:
        super().__init__(classes, width)
        self.unit = unit

    def _transformed(self, features: Tensor) -> Tensor:
        return normalize(features) if self.unit else features

    def _scores(self, features: Tensor) -> Tensor:
        return -torch.cdist(features, self._transformed(self.mean).to(features.dtype))


class ShrunkMahalanobis(ClassStatistics):
    """Scores each class by minus the squared Mahalanobis distance to it (Goswami et al. 2023, section 3).

    Args:
        classes: number of classes.
        width: number of features.
        power: lambda of Tukey's transformation; negative features keep their sign, of which the paper says nothing.
        diagonal: gamma_1, weight of the mean variance on the diagonal.
        elsewhere: gamma_2, weight of the mean covariance off it.
    """

    precision: Tensor

    def __init__(self, classes: int, width: int, power: float, diagonal: float, elsewhere: float) -> None:
        super().__init__(classes, width, scatters=classes)
        self.power, self.diagonal, self.elsewhere = power, diagonal, elsewhere
        self.register_buffer("precision", torch.zeros(classes, width, width))

    @torch.no_grad()
    def finish(self) -> None:
        for label in self.count.nonzero().flatten().tolist():
            covariance = self.scatter[label] / max(1, int(self.count[label]) - 1)
            self.precision[label] = torch.linalg.pinv(self._correlation(covariance), hermitian=True)

    def _correlation(self, covariance: Tensor) -> Tensor:
        """Return the correlation matrix of the shrunk covariance."""
        variances = covariance.diagonal()
        identity = torch.eye(len(covariance), dtype=covariance.dtype, device=covariance.device)
        others = covariance[identity == 0]
        shared = others.mean() if len(others) else 0.0
        shrunk = covariance + self.diagonal * variances.mean() * identity + self.elsewhere * shared * (1 - identity)
        deviations = shrunk.diagonal().clamp(min=torch.finfo(torch.float32).tiny).sqrt()
        return shrunk / torch.outer(deviations, deviations)

    def _transformed(self, features: Tensor) -> Tensor:
        return features.sign() * features.abs() ** self.power

    def _scores(self, features: Tensor) -> Tensor:
        features, means = normalize(features), normalize(self.mean).to(features.dtype)
        away = (features - mean for mean in means)
        return -torch.stack([((x @ P) * x).sum(1) for x, P in zip(away, self.precision, strict=True)], dim=1)


class LinearDiscriminants(ClassStatistics):
    """Scores equally likely classes that share a covariance by linear discriminants (Hayes & Kanan 2020, section 3).

    Args:
        classes: number of classes.
        width: number of features.
        shrinkage: epsilon, the weight of the identity beside the covariance, in [0, 1].
    """

    weight: Tensor
    bias: Tensor

    def __init__(self, classes: int, width: int, shrinkage: float) -> None:
        super().__init__(classes, width, scatters=1)
        self.shrinkage = shrinkage
        self.register_buffer("weight", torch.zeros(classes, width))
        self.register_buffer("bias", torch.zeros(classes))

    @torch.no_grad()
    def finish(self) -> None:
        covariance = self.scatter[0] / self.count.sum()
        identity = torch.eye(len(covariance), dtype=covariance.dtype, device=covariance.device)
        precision = torch.linalg.pinv((1 - self.shrinkage) * covariance + self.shrinkage * identity, hermitian=True)
        weight = self.mean @ precision
        self.weight.copy_(weight)
        self.bias.copy_(-0.5 * (weight * self.mean).sum(1))

    def _scores(self, features: Tensor) -> Tensor:
        return features @ self.weight.T + self.bias


class PrototypeNetwork(nn.Module):
    """Is trained with a classifier, and answers by the statistics of its features.

    Args:
        parts: parts of the network; the classifier answers in training mode, and as long as there are no statistics.
        statistics: statistics of the features.
    """

    def __init__(self, parts: Parts, statistics: ClassStatistics) -> None:
        super().__init__()
        self.features = parts.features
        self.classifier = parts.classifier
        self.statistics = statistics

    def forward(self, x: Tensor) -> Tensor:
        """Return logits or scores, of shape (n, classes)."""
        learning = self.training or not self.statistics.count.any()
        answers: Tensor = (self.classifier if learning else self.statistics)(self.features(x))
        return answers


class PrototypeUpdate(SupervisedPlugin):
    """Adds each experience's samples to the statistics, in one pass when it has been trained on.

    Args:
        learn: the experiences in which the features are learnt before that.
    """

    def __init__(self, learn: Learning) -> None:
        super().__init__()
        self.learn = learn
        self._first = True

    def before_training_epoch(self, strategy: SupervisedTemplate, **_: object) -> None:
        if self.learn == "never" or (self.learn == "first" and not self._first):
            strategy.stop_training()

    @torch.no_grad()
    def after_training_exp(self, strategy: SupervisedTemplate, **_: object) -> None:
        network = strategy.model
        with evaluating(network):
            for x, y, *_labels in Reader(strategy.experience.dataset.eval()).in_order(strategy.eval_mb_size):
                network.statistics.update(network.features(x.to(strategy.device)), y.to(strategy.device))
        network.statistics.finish()
        self._first = False
