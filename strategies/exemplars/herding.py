"""A memory of exemplars: the samples of each class whose mean is nearest to that of the class, by herding."""

from __future__ import annotations

from typing import Any, TypeAlias

import torch
from avalanche.benchmarks.utils import AvalancheDataset, concat_datasets
from avalanche.core import SupervisedPlugin
from avalanche.training.templates import SupervisedTemplate
from torch import Tensor, nn
from torch.nn.functional import normalize

from lifelong.data.drawing import Reader
from lifelong.structure.contexts import evaluating

Data: TypeAlias = "AvalancheDataset[Any]"


class Exemplars(SupervisedPlugin):
    """Keeps equally many samples of each class, and adds them to the data of later experiences.

    These are algorithms 4 and 5 of Rebuffi et al. 2017. If a class comes back, its exemplars are chosen among the new
    samples and those kept.

    Args:
        mem_size: number of samples in the memory, over all classes.

    Attributes:
        kept: the exemplars of each class, the most important first.
        current: classes of the current experience, ascending.
        past: classes of earlier experiences that are not in the current one, ascending.
    """

    def __init__(self, mem_size: int) -> None:
        super().__init__()
        self.mem_size = mem_size
        self.kept: dict[int, Data] = {}
        self.current: list[int] = []
        self.past: list[int] = []

    @property
    def seen(self) -> list[int]:
        """Return all classes so far, ascending."""
        return sorted(self.current + self.past)

    @property
    def share(self) -> int:
        """Return how many samples of each class there is room for."""
        return self.mem_size // len(self.seen)

    def after_train_dataset_adaptation(self, strategy: SupervisedTemplate, **_: object) -> None:
        self.current = sorted(by_class(strategy.experience.dataset))
        self.past = sorted(set(self.kept) - set(self.current))
        strategy.adapted_dataset = concat_datasets([strategy.adapted_dataset, *self.kept.values()])

    def after_training_exp(self, strategy: SupervisedTemplate, **_: object) -> None:
        self.keep(strategy, strategy.experience.dataset)

    def keep(self, strategy: SupervisedTemplate, data: Data) -> None:
        """Choose exemplars of the classes in `data`, and drop the least important ones of the others."""
        for label, positions in by_class(data).items():
            samples = data.subset(positions)
            if label in self.kept:
                samples = samples.concat(self.kept[label])
            chosen = herd(features_of(strategy, samples), min(self.share, len(samples)))
            self.kept[label] = samples.subset(chosen)
        self.kept = {
            label: samples.subset(range(min(self.share, len(samples)))) for label, samples in self.kept.items()
        }


def by_class(data: Data) -> dict[int, list[int]]:
    """Return the positions of each class's samples, classes ascending."""
    targets = torch.tensor(list(data.targets))
    return {label: (targets == label).nonzero().flatten().tolist() for label in torch.unique(targets).tolist()}


def features_of(strategy: SupervisedTemplate, data: Data) -> Tensor:
    """Return the network's features of each sample, of length one, of shape (n, width)."""
    return normalize(outputs_of(strategy.model.features, strategy, data)[0])


@torch.no_grad()
def outputs_of(module: nn.Module, strategy: SupervisedTemplate, data: Data) -> tuple[Tensor, Tensor]:
    """Return a module's outputs in eval mode, of shape (n, ...), and the labels, of shape (n,)."""
    with evaluating(module):
        batches = Reader(data).in_order(strategy.eval_mb_size)
        pairs = [(module(x.to(strategy.device)), y.to(strategy.device)) for x, y, *_ in batches]
    outputs, labels = zip(*pairs, strict=True)
    return torch.cat(outputs), torch.cat(labels)


def herd(features: Tensor, count: int) -> list[int]:
    """Choose samples one by one, each such that the mean of the chosen ones is nearest to the mean of all.

    Args:
        features: features of shape (n, width).
        count: number of samples to choose, at most n.

    Returns:
        Positions of the samples, in the order in which they were chosen.
    """
    mean, total = features.mean(dim=0), torch.zeros_like(features[0])
    squares, left = features.square().sum(dim=1), torch.zeros(len(features), device=features.device)
    chosen: list[int] = []
    for size in range(1, count + 1):
        distance = (
            squares + 2 * features @ (total - size * mean) + left
        )  # |size * mean - total - features|^2, without what is the same for all samples
        chosen.append(int(distance.argmin()))
        total = total + features[chosen[-1]]
        left[chosen[-1]] = torch.inf
    return chosen


def frozen(network: nn.Module) -> nn.Module:
    """Put a network into eval mode, and let its parameters need no gradient."""
    return network.eval().requires_grad_(False)
