"""The quadratic penalty that these methods share, and the tensors, shaped like weights, that they keep for it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from avalanche.models import avalanche_forward
from avalanche.training.templates import SupervisedTemplate
from torch import Tensor, nn
from torch.utils.data import DataLoader

from lifelong.structure.contexts import evaluating

Weights = dict[str, Tensor]
"""By the name of each parameter, a tensor of its shape."""

Spring = tuple[Tensor, Tensor]
"""An importance and an anchor, each of the shape of the weight that they hold."""


def quadratic_penalty(strength: float, held: Iterable[tuple[Tensor, Sequence[Spring]]]) -> Tensor:
    """Return strength x importance x (weight - anchor)², summed over all weights and their springs: a scalar.

    The gradient is worked out in closed form along with the value. Autograd would make ten passes over each weight; its
    gradient of the sum of the same penalties in the opposite order is the same, bit for bit.

    Args:
        strength: the weight of the penalty in the loss.
        held: weights, each with its springs; a weight without springs gets no gradient, not even zero.
    """
    sprung = [(weight, springs) for weight, springs in held if springs]
    if not sprung:
        return torch.zeros(())
    weights, springs = zip(*sprung, strict=True)
    penalty: Tensor = _Penalty.apply(strength, springs, *weights)
    return penalty


class _Penalty(torch.autograd.Function):
    """With s the strength, O an importance and a its anchor: the pull of a spring is 2 s O (w - a)."""

    @staticmethod
    def forward(ctx: Any, strength: float, springs: Sequence[Sequence[Spring]], *weights: Tensor) -> Tensor:
        pulls: list[Tensor | None] = []
        energy = weights[0].new_zeros(())
        for weight, its in zip(weights, springs, strict=True):
            total: Tensor | None = None
            for importance, anchor in its:
                moved = weight - anchor
                pull = (importance * (2 * strength)).mul_(moved)  # in the order of autograd's own products
                energy += torch.dot(pull.flatten(), moved.flatten())
                total = pull if total is None else total.add_(pull)
            pulls.append(total)
        ctx.save_for_backward(*pulls)
        return energy / 2

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        return None, None, *(pull * gradients[0] for pull in ctx.saved_tensors)


def copied(network: nn.Module) -> Weights:
    """Return a copy of each weight."""
    return {name: weight.detach().clone() for name, weight in network.named_parameters()}


def padded(values: Tensor, weight: Tensor) -> Tensor:
    """Return values of a weight in its shape now: if it has grown (a head for new classes), with 0 for what is new."""
    if values.shape == weight.shape:
        return values
    grown = values.new_zeros(weight.shape)
    grown[tuple(slice(size) for size in values.shape)] = values
    return grown


def mean_over_batches(
    strategy: SupervisedTemplate,
    loss: Callable[[Tensor, Tensor], Tensor],
    of: Callable[[Tensor], Tensor],
    num_workers: int = 0,
) -> Weights:
    """Pass once more over the experience, in its order, and return the mean of a function of each batch's gradient.

    The network is in evaluation mode meanwhile, because the pass is no training: it moves no statistics of batches.

    Args:
        strategy: an Avalanche strategy at the end of an experience.
        loss: of the outputs and the labels of a batch: the scalar whose gradient is taken.
        of: the function of a gradient, entry by entry.
        num_workers: processes that read the batches.
    """
    model, dataset = strategy.model, strategy.experience.dataset
    total = {name: torch.zeros_like(weight) for name, weight in model.named_parameters()}
    batches = DataLoader(
        dataset,
        batch_size=strategy.train_mb_size,
        collate_fn=getattr(dataset, "collate_fn", None),
        num_workers=num_workers,
    )
    with evaluating(model):
        for x, y, *_, task in batches:
            strategy.optimizer.zero_grad()
            output = avalanche_forward(model, x.to(strategy.device), task)
            torch.autograd.backward(loss(output, y.to(strategy.device)))
            for name, weight in model.named_parameters():
                if weight.grad is not None:  # else it is frozen, or in the head of another task
                    total[name] += of(weight.grad)
    return {name: value.div_(len(batches)) for name, value in total.items()}
