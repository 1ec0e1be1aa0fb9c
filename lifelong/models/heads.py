"""Networks of a feature extractor and a classifier. Their whole head exists before any training."""

from __future__ import annotations

import torch
from avalanche.benchmarks import CLScenario
from avalanche.models import IncrementalClassifier, MultiHeadClassifier, MultiTaskModule
from torch import Tensor, nn


class SingleHeadNetwork(nn.Module):
    """A network with one head over all classes of the benchmark, or over its outputs if it has no classes.

    Args:
        features: a network from inputs of shape `(n, *input_shape)` to features of shape (n, width).
        input_shape: the shape of one sample.
        benchmark: the benchmark, which has classes to be counted or says how many `outputs` there are.
        masked: whether the logits of classes that no training experience has had yet are masked, by Avalanche's
            `IncrementalClassifier`. All units are there from the start, because adding them later would lose the
            optimizer's state of the old ones, and would draw random numbers if an evaluation came first.
    """

    def __init__(
        self, features: nn.Module, input_shape: tuple[int, ...], benchmark: CLScenario, *, masked: bool = False
    ) -> None:
        super().__init__()
        self.features = features
        make_head = IncrementalClassifier if masked else nn.Linear
        self.classifier: nn.Module = make_head(_width(features, input_shape), _outputs(benchmark))

    def forward(self, x: Tensor) -> Tensor:
        """Return logits of shape (n, classes), or predictions of shape (n, outputs)."""
        logits: Tensor = self.classifier(self.features(x))
        return logits


class MultiHeadNetwork(MultiTaskModule):
    """A network with a head for each task, over features that all tasks share.

    Args:
        features: a network from inputs of shape `(n, *input_shape)` to features of shape (n, width).
        input_shape: the shape of one sample.
        benchmark: the benchmark, whose tasks and classes are counted; labels start from zero within each task.
    """

    def __init__(self, features: nn.Module, input_shape: tuple[int, ...], benchmark: CLScenario) -> None:
        super().__init__()
        self.features = features
        self.classifier = MultiHeadClassifier(_width(features, input_shape), _classes(benchmark), masking=False)
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


def _outputs(benchmark: CLScenario) -> int:
    outputs: int | None = getattr(benchmark, "outputs", None)
    return _classes(benchmark) if outputs is None else outputs


def _classes(benchmark: CLScenario) -> int:
    """Return how many outputs the labels of the whole stream need."""
    largest: int = max(max(experience.classes_in_this_experience) for experience in benchmark.train_stream)
    return 1 + largest


def _width(features: nn.Module, input_shape: tuple[int, ...]) -> int:
    """Return how many features there are; batch statistics stay as they are."""
    features.eval()
    with torch.no_grad():
        example: Tensor = features(torch.zeros(1, *input_shape))
    features.train()
    return example.shape[1]
