"""Gradients of single samples' losses, and the angles between them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from typing import Any, NamedTuple

import torch
from avalanche.models.utils import is_multi_task_module
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap
from torch.nn.functional import normalize, pad

from lifelong.structure.contexts import evaluating

AT_A_TIME = 32
"""Number of samples whose whole gradients are held at once."""
EPS = 1e-12
"""The least length of a gradient: shorter ones count as this long, as in torch's `normalize`."""


class Batch(NamedTuple):
    """Samples: x of shape (n, ...), y and task labels of shape (n,)."""

    x: Tensor
    y: Tensor
    task_labels: Tensor


def cosines(network: nn.Module, criterion: Any, some: Batch, others: Batch) -> Tensor:
    """Return the cosines between the gradients of n samples' losses and of m others', in eval mode, of shape (n, m).

    Args:
        network: a network that Avalanche can call.
        criterion: maps outputs and targets to a scalar: a mean of the samples' losses, with any positive weights.
        some: the n samples.
        others: the m other samples.
    """
    with evaluating(network):
        ours, theirs = (_factors(network, criterion, samples) for samples in (some, others))
    if ours is None or theirs is None:
        known = normalize(gradients(network, criterion, *others))
        parts = zip(*(torch.split(column, AT_A_TIME) for column in some), strict=True)
        return torch.cat([normalize(gradients(network, criterion, *part)) @ known.T for part in parts])
    products = torch.stack([(a @ b.T) * (of_a @ of_b.T) for (a, of_a), (b, of_b) in zip(ours, theirs, strict=True)])
    return products.sum(dim=0) / (_lengths(ours)[:, None] * _lengths(theirs))


def _lengths(factors: list[tuple[Tensor, Tensor]]) -> Tensor:
    squares = [x.square().sum(dim=1) * slope.square().sum(dim=1) for x, slope in factors]
    return torch.stack(squares).sum(dim=0).sqrt().clamp(min=EPS)


def _factors(network: nn.Module, criterion: Any, samples: Batch) -> list[tuple[Tensor, Tensor]] | None:
    """Return each linear layer's inputs and the loss's slopes at its outputs, of shapes (n, inputs) and (n, outputs).

    A sample's gradient with respect to a layer's weights is the outer product of the two. So the scalar product of two
    gradients follows from these factors, and the gradients themselves are never formed. A bias is the weight of an
    input of one. The result is None for a network that has weights elsewhere, that passes a linear layer twice, or
    whose linear layers read anything but rows of features.
    """
    layers = [module for module in network.modules() if type(module) is nn.Linear]
    if sum(map(torch.numel, network.parameters())) != sum(
        weight.numel() for one in layers for weight in one.parameters()
    ):
        return None
    factors = [
        [samples.x.new_zeros(len(samples.x), size) for size in (one.in_features + 1, one.out_features)]
        for one in layers
    ]
    for at, task in _by_task(network, samples.task_labels):
        calls: list[tuple[int, Tensor, Tensor]] = []
        with ExitStack() as stack, torch.enable_grad():
            for number, layer in enumerate(layers):
                stack.callback(layer.register_forward_hook(partial(_remember, calls, number)).remove)
            x = samples.x[at].requires_grad_()  # so that every output has a slope, of frozen layers too
            loss = criterion(network(x, *task), samples.y[at])
        numbers = [number for number, *_ in calls]
        if len(set(numbers)) < len(numbers) or any(out.dim() != 2 for *_, out in calls):
            return None
        slopes = torch.autograd.grad(loss, [out for *_, out in calls], materialize_grads=True)
        for (number, x, _), slope in zip(calls, slopes, strict=True):
            of_bias = 0.0 if layers[number].bias is None else 1.0
            factors[number][0][at], factors[number][1][at] = pad(x.detach(), (0, 1), value=of_bias), slope
    return [(x, slope) for x, slope in factors]


def _remember(
    calls: list[tuple[int, Tensor, Tensor]], number: int, _: nn.Module, inputs: tuple[Tensor, ...], out: Tensor
) -> None:
    calls.append((number, inputs[0], out))


def _by_task(network: nn.Module, task_labels: Tensor) -> Iterator[tuple[Tensor, tuple[int, ...]]]:
    """Yield for each task label the mask of its samples, and what the network is called with beside them."""
    multi_task = is_multi_task_module(network)
    for label in torch.unique(task_labels).tolist():
        yield task_labels == label, (label,) if multi_task else ()


def gradients(network: nn.Module, criterion: Any, x: Tensor, y: Tensor, task_labels: Tensor) -> Tensor:
    """Return the gradient of each sample's loss, in eval mode, of shape (n, parameters).

    Args:
        network: a network that Avalanche can call.
        criterion: maps outputs and targets to a scalar.
        x: samples of shape (n, ...).
        y: their targets, of shape (n,).
        task_labels: their task labels, of shape (n,).
    """
    parameters = {name: parameter.detach() for name, parameter in network.named_parameters()}
    rows = torch.empty(len(x), sum(map(torch.numel, parameters.values())), device=x.device)

    def loss(parameters: dict[str, Tensor], x: Tensor, y: Tensor, *task: int) -> Tensor:
        scalar: Tensor = criterion(functional_call(network, parameters, (x[None], *task)), y[None])
        return scalar

    with evaluating(network):
        for at, task in _by_task(network, task_labels):
            of_each = vmap(grad(loss), in_dims=(None, 0, 0, *[None] * len(task)))
            parts = of_each(parameters, x[at], y[at], *task).values()
            rows[at] = torch.cat([part.reshape(len(part), -1) for part in parts], dim=1)
    return rows
