"""Networks of a feature extractor and a classifier. Their whole head exists before any training."""

from __future__ import annotations

from typing import Any

import torch
from avalanche.benchmarks import CLScenario
from avalanche.models import IncrementalClassifier, MultiHeadClassifier, MultiTaskModule
from torch import Tensor, nn

from lifelong.errors import UsageError
from lifelong.structure.contexts import evaluating


class SingleHeadNetwork(nn.Module):
    """A network with one head over all classes of the benchmark, or over its outputs if it has no classes.

    Args:
        features: a network from inputs of shape `(n, *input_shape)` to features of shape (n, width).
        classifier: a network from features to logits, or to predictions.
    """

    def __init__(self, features: nn.Module, classifier: nn.Module) -> None:
        super().__init__()
        self.features = features
        self.classifier = classifier

    def forward(self, x: Tensor) -> Tensor:
        """Return logits of shape (n, classes), or predictions of shape (n, outputs)."""
        logits: Tensor = self.classifier(self.features(x))
        return logits


class MultiHeadNetwork(MultiTaskModule):
    """A network with a head for each task, over features that all tasks share.

    Args:
        features: a network from inputs of shape `(n, *input_shape)` to features of shape (n, width).
        width: the number of features.
        benchmark: the benchmark, whose tasks and classes are counted; labels start from zero within each task.
    """

    def __init__(self, features: nn.Module, width: int, benchmark: CLScenario) -> None:
        super().__init__()
        self.features = features
        self.classifier = MultiHeadClassifier(width, outputs_of(benchmark), masking=False)
        # in eval mode the heads are made, but no task is marked as trained: `forward(x, None)` asks which are
        self.eval()
        for experience in benchmark.train_stream:
            self.adaptation(experience)
            self.classifier.adaptation(experience)
        self.train()

    def forward(self, x: Tensor, task_labels: Tensor | int | None) -> Tensor | dict[int, Tensor]:
        """Return logits of shape (n, classes of the largest task).

        The features are computed once for the whole batch, so that batch normalization sees all of it.

        Args:
            x: inputs of shape `(n, *input_shape)`.
            task_labels: the task of each sample, of shape (n,), or one task for all. With None, the result has the
                logits of every task trained so far, by its label.
        """
        logits: Tensor | dict[int, Tensor] = self.classifier(self.features(x), task_labels)
        return logits

    def forward_single_task(self, x: Tensor, task_label: int) -> Tensor:
        """Return the logits of one task's head, of shape (n, classes of the task)."""
        logits: Tensor = self.classifier.forward_single_task(self.features(x), task_label)
        return logits


def new_head(width: int, outputs: int, *, masked: bool = False) -> nn.Module:
    """Return a new head.

    Args:
        width: the number of features.
        outputs: the number of logits, or of predictions.
        masked: whether the logits of classes that no training experience has had yet are masked, by Avalanche's
            `IncrementalClassifier`. All units are there from the start, because adding them later would lose the
            optimizer's state of the old ones, and would draw random numbers if an evaluation came first.
    """
    head: nn.Module = (IncrementalClassifier if masked else nn.Linear)(width, outputs)
    return head


def outputs_of(benchmark: CLScenario) -> int:
    """Return how many outputs a network needs: of its largest task, or what a benchmark without classes says."""
    outputs: int | None = getattr(benchmark, "outputs", None)
    if outputs is not None:
        return outputs
    largest: int = max(max(experience.classes_in_this_experience) for experience in benchmark.train_stream)
    return 1 + largest


def width_of(features: nn.Module, x: Tensor) -> int:
    """Return how many features there are; batch statistics stay as they are.

    Args:
        features: a feature extractor.
        x: an example of its input, of shape (n, ...).

    Raises:
        UsageError: if it returns anything else than features of shape (n, width).
    """
    return columns_of(answer_of(features, x))


def answer_of(network: nn.Module, x: Tensor) -> Any:
    """Return what a network returns for an example in evaluation mode. The network's modes and statistics stay."""
    with evaluating(network), torch.no_grad():
        return network(x)


def columns_of(example: Any) -> int:
    """Return how many numbers there are for each sample in what a network returned.

    Raises:
        UsageError: if it is anything else than a tensor of shape (n, columns).
    """
    if not isinstance(example, Tensor) or example.dim() != 2:
        made = f"features of shape {tuple(example.shape)}" if isinstance(example, Tensor) else type(example).__name__
        raise UsageError(
            f"it gives {made}, where a feature extractor gives one row of features for each sample; flatten them, or "
            "let it take `outputs` if it is a whole network"
        )
    return int(example.shape[1])
