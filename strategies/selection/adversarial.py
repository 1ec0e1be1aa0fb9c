"""Samples of a memory, moved towards the classes that are being learnt."""

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
    """Recalls samples at random, each as it is and as it looks when moved towards its nearest new sample's class.

    Args:
        mem_size: samples in the memory.
        batch_size: samples recalled for each batch.
        beta: weight of the moved ones' loss, in [0, 1]; the others' is what it leaves of one.
        epsilon: the most that a moved sample differs anywhere.
        steps: of the attack.
        decay: what the attack's momentum keeps at each step.
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
    """For each sample the class of the new sample of another class whose features are nearest; -1 where there is none.

    Args:
        features: from samples to vectors.
        x: of shape (n, ...).
        y: of shape (n,).
        new_x: of shape (m, ...).
        new_y: of shape (m,).

    Returns:
        Of shape (n,).
    """
    apart = torch.cdist(features(x), features(new_x)).masked_fill(y[:, None] == new_y, torch.inf)
    distance, nearest = apart.min(dim=1)
    return torch.where(distance.isinf(), -1, new_y[nearest])


def attacked(network: nn.Module, x: Tensor, towards: Tensor, epsilon: float, steps: int, decay: float) -> Tensor:
    """Samples moved so that the network takes them rather for other classes: MI-FGSM (Dong et al. 2018), targeted.

    Args:
        network: from samples to logits.
        x: of shape (n, ...).
        towards: the classes, of shape (n,); what comes of a sample whose class is negative has no meaning.
        epsilon: the most that any entry changes.
        steps: of equal size.
        decay: what the momentum keeps at each.
    """
    moved, momentum = x.clone(), torch.zeros_like(x)
    for _ in range(steps):
        moved.requires_grad_()
        (slope,) = torch.autograd.grad(cross_entropy(network(moved), towards.clamp(min=0)), moved)
        length = slope.flatten(1).abs().sum(dim=1).clamp(min=torch.finfo(slope.dtype).tiny)
        momentum = decay * momentum + slope / length.view(-1, *[1] * (x.ndim - 1))
        moved = moved.detach() - epsilon / steps * momentum.sign()
    return moved
