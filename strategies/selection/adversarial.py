"""Retrospective adversarial replay: samples of a memory, moved towards the classes that are being learnt."""

from __future__ import annotations

import torch
from avalanche.training.storage_policy import ReservoirSamplingBuffer
from avalanche.training.templates import SupervisedTemplate
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from lifelong.structure.contexts import evaluating, standing_in

from ..replay.recalling import RecallingEarlier
from .ahead import one_step_ahead


class AdversarialReplay(RecallingEarlier):
    """Recalls random samples, each as it is and moved towards the class of the nearest new sample.

    Args:
        mem_size: number of samples in the memory.
        batch_size: number of samples recalled for each batch.
        beta: weight of the moved samples' loss, in [0, 1]; the samples as they are have the weight 1 - beta.
        epsilon: the largest difference between an entry of a sample and of the moved sample.
        steps: number of steps of the attack.
        decay: share of the attack's momentum that is kept at each step.
    """

    def __init__(self, mem_size: int, batch_size: int, beta: float, epsilon: float, steps: int, decay: float) -> None:
        super().__init__(ReservoirSamplingBuffer(mem_size), batch_size)
        self.beta, self.epsilon, self.steps, self.decay = beta, epsilon, steps, decay

    def recall(self, strategy: SupervisedTemplate) -> list[Tensor] | None:
        drawn = super().recall(strategy)
        if drawn is None:
            return None
        x, y, task_labels = drawn
        network = strategy.model
        with evaluating(network), standing_in(network, one_step_ahead(strategy)):
            towards = nearest_others(network.features, x, y, strategy.mb_x, strategy.mb_y)
            moved = attacked(network, x, towards, self.epsilon, self.steps, self.decay)
        moved[towards < 0] = x[towards < 0]
        return [torch.cat([x, moved]), y.repeat(2), task_labels.repeat(2)]

    def before_backward(self, strategy: SupervisedTemplate, **_: object) -> None:
        if recalled := len(strategy.mb_y) - self.fresh:
            sizes = [self.fresh, recalled // 2, recalled // 2]
            parts = zip(strategy.mb_output.split(sizes), strategy.mb_y.split(sizes), strict=True)
            new, kept, moved = (strategy._criterion(output, y) for output, y in parts)
            strategy.loss = new + (1 - self.beta) * kept + self.beta * moved


@torch.no_grad()
def nearest_others(features: nn.Module, x: Tensor, y: Tensor, new_x: Tensor, new_y: Tensor) -> Tensor:
    """Find, for each sample, the class of the nearest new sample of another class, by distance of features.

    Args:
        features: maps samples to vectors.
        x: samples of shape (n, ...).
        y: their classes, of shape (n,).
        new_x: new samples, of shape (m, ...).
        new_y: their classes, of shape (m,).

    Returns:
        Classes of shape (n,); -1 where all new samples are of the sample's own class.
    """
    apart = torch.cdist(features(x), features(new_x)).masked_fill(y[:, None] == new_y, torch.inf)
    distance, nearest = apart.min(dim=1)
    return torch.where(distance.isinf(), -1, new_y[nearest])


def attacked(network: nn.Module, x: Tensor, towards: Tensor, epsilon: float, steps: int, decay: float) -> Tensor:
    """Move samples so that the network takes them for other classes: targeted MI-FGSM (Dong et al. 2018).

    Args:
        network: maps samples to logits.
        x: samples of shape (n, ...).
        towards: the other classes, of shape (n,); the result for a sample whose class is negative has no meaning.
        epsilon: the largest change of an entry.
        steps: number of steps, all of equal size.
        decay: share of the momentum that is kept at each step.
    """
    moved, momentum = x.clone(), torch.zeros_like(x)
    for _ in range(steps):
        moved.requires_grad_()
        (slope,) = torch.autograd.grad(cross_entropy(network(moved), towards.clamp(min=0)), moved)
        length = slope.flatten(1).abs().sum(dim=1).clamp(min=torch.finfo(slope.dtype).tiny)
        momentum = decay * momentum + slope / length.view(-1, *[1] * (x.ndim - 1))
        moved = moved.detach() - epsilon / steps * momentum.sign()
    return moved
