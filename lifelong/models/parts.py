"""The two parts of a network, which prototypes, distillation of features and replay of features need apart."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from avalanche.models import MultiHeadClassifier
from torch import nn

from lifelong.errors import UsageError
from lifelong.models.heads import answer_of
from lifelong.seeds import untouched_generators


@dataclass(frozen=True)
class Parts:
    """A network's feature extractor and its classifier.

    Attributes:
        features: a network from inputs of shape (n, ...) to features of shape (n, width).
        classifier: a network from features to logits of shape (n, outputs). It also takes task labels, where there is a
            head for each task.
        width: the number of features.
        outputs: the number of outputs of the classifier, or of its largest head.
    """

    features: nn.Module
    classifier: nn.Module
    width: int
    outputs: int


def parts_of(network: nn.Module, x: torch.Tensor) -> Parts:
    """Return the parts of a network that has them under the names that the suite's models use.

    Args:
        network: a network whose `forward` calls its `features` and then its `classifier`.
        x: an example of its input, of shape (n, ...).

    Raises:
        UsageError: if it has no such parts.
    """
    features, classifier = (getattr(network, name, None) for name in ("features", "classifier"))
    if not isinstance(features, nn.Module) or not isinstance(classifier, nn.Module):
        raise UsageError(
            f"{type(network).__name__} cannot be used: its feature extractor and its classifier must be modules of it, "
            "called `features` and `classifier`, as in every model of the suite"
        )
    return Parts(features, classifier, _width(features, x), outputs_of(classifier))


def outputs_of(classifier: nn.Module) -> int:
    """Return how many outputs a classifier has, or its largest head where there is a head for each task.

    >>> outputs_of(nn.Sequential(nn.Linear(8, 5), nn.ReLU(), nn.Linear(5, 3)))
    3

    Raises:
        UsageError: if it has no linear layer.
    """
    if isinstance(classifier, MultiHeadClassifier):
        return max(outputs_of(head) for head in classifier.classifiers.values())
    layers = [module for module in classifier.modules() if isinstance(module, nn.Linear)]
    if not layers:
        raise UsageError(f"{type(classifier).__name__} cannot be used as a classifier: it ends in no linear layer")
    return layers[-1].out_features


def _width(features: nn.Module, x: torch.Tensor) -> int:
    """Return how many features there are; batch statistics and generators stay as they are."""
    with untouched_generators():
        return int(answer_of(features, x).shape[1])
