"""Measures what a network's activations, weights and gradients say of its ability to go on learning.

Each formula is a pure function of tensors; `inspect` takes them all of a network and leaves no trace in it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any

import torch
from avalanche.models import avalanche_forward
from torch import Tensor, nn

from lifelong.errors import UsageError
from lifelong.plasticity.activations import Activations, check_watchable
from lifelong.plasticity.candidates import unfrozen
from lifelong.plasticity.inputs import inputs_of
from lifelong.plasticity.weights import norm_by_unit, sum_by_unit
from lifelong.structure import Layer, Role, Structure, StructureError
from lifelong.structure.contexts import evaluating

DORMANT_SHARE = 0.01
DORMANT_TAU = 0.025
FROZEN_EPSILON = 0.1


def dormant(activations: Tensor, share: float = DORMANT_SHARE) -> Tensor:
    """Tell which units are other than zero on less than a share of the inputs: `mean_n [h_nu != 0] < share`.

    >>> dormant(torch.tensor([[0.0, 1.0], [0.0, 0.0]]), share=0.25)
    tensor([ True, False])

    Source: Dohare et al. 2024, Loss of plasticity in deep continual learning, doi:10.1038/s41586-024-07711-7, whose
    code has a share of 0.01. Others mean `dormant_redo` by the same name, which is another number.

    Args:
        activations: of shape (samples, units).
        share: in (0, 1].

    Returns:
        Bool, of shape (units,).
    """
    return (activations != 0).float().mean(0) < share


def dormant_redo(activations: Tensor, tau: float = DORMANT_TAU) -> Tensor:
    """Tell which units are far less active than their layer's mean: `mean_n |h_nu| <= tau mean_u mean_n |h_nu|`.

    >>> dormant_redo(torch.tensor([[0.01, -2.0], [0.01, 2.0]]))
    tensor([ True, False])

    Source: Sokar et al. 2023 (ReDo), arXiv:2302.12902, equation 1. In a layer that is silent
    altogether, all units are dormant.

    Args:
        activations: of shape (samples, units).
        tau: at least 0; Sokar et al. use 0.025 and 0.1.

    Returns:
        Bool, of shape (units,).
    """
    activity = activations.abs().mean(0)
    return activity <= tau * activity.mean()


def effective_rank(features: Tensor) -> float:
    """Return `exp(-sum_i p_i ln p_i)` with `p = s / sum_i s` of the singular values s; from 1 to min(samples, units).

    >>> round(effective_rank(torch.eye(3)), 6)
    3.0

    Source: Roy & Vetterli 2007, The effective rank, EUSIPCO. Features are not centred. NaN where all are zero.

    Args:
        features: of shape (samples, units).
    """
    values = torch.linalg.svdvals(features.detach().double())
    p = values / values.sum()
    return float(torch.special.entr(p).sum().exp())


def stable_rank(features: Tensor) -> float:
    """Return `||F||_F^2 / ||F||_2^2`; from 1 to min(samples, units).

    >>> round(stable_rank(torch.diag(torch.tensor([2.0, 1.0]))), 6)
    1.25

    Source: Rudelson & Vershynin 2007, arXiv:math/0503442. Features are not centred. NaN where all are zero.

    The code of Dohare et al. (incremental CIFAR), and others after it, call by this name the number of singular values
    that make up 99 % of their sum, which is something else and larger.

    Args:
        features: of shape (samples, units).
    """
    squares = torch.linalg.svdvals(features.detach().double()).square()
    return float(squares.sum() / squares.max())


def mean_magnitude(weights: Iterable[Tensor]) -> float:
    """Return the mean of `|w|` over all elements of some tensors (Dohare et al. 2024, "weight magnitude").

    It is NaN where there are no elements.
    """
    sums = [(float(weight.detach().abs().sum()), weight.numel()) for weight in weights]
    count = sum(number for _, number in sums)
    return sum(total for total, _ in sums) / count if count else math.nan


def gradient_norm(gradients: Iterable[Tensor]) -> float:
    """Return the Euclidean norm of some tensors, taken as one vector.

    >>> gradient_norm([torch.tensor([3.0]), torch.tensor([[4.0]])])
    5.0
    """
    return math.sqrt(sum(float(gradient.detach().double().square().sum()) for gradient in gradients))


def mutually_frozen(fan_in: Tensor, fan_out: Tensor, epsilon: float = FROZEN_EPSILON) -> Tensor:
    """Tell which units have weights on both sides that are so small that each side stops the other's gradient.

    The condition is `||w_in|| <= epsilon median_u ||w_in||` and `||w_out|| <= epsilon median_u ||w_out||`.

    Source: Zilly et al. 2021, On plasticity, invariance, and mutually frozen weights in sequential task learning. The
    comparison with the layer's median, and epsilon, are our choice: the paper's threshold is not known to us.

    Args:
        fan_in: the norm of what each unit reads with, of shape (units,).
        fan_out: the norm of what each unit is read with, of shape (units,).
        epsilon: above 0.

    Returns:
        Bool, of shape (units,).
    """
    return (fan_in <= epsilon * fan_in.quantile(0.5)) & (fan_out <= epsilon * fan_out.quantile(0.5))


def inspect(
    network: nn.Module,
    x: Tensor,
    y: Tensor,
    task_labels: Tensor,
    criterion: Callable[[Tensor, Tensor], Tensor],
    newborn: Mapping[str, Tensor] | None = None,
) -> dict[str, float | None]:
    """Measure a network on a sample of data, in eval mode. It keeps no gradient, no statistic and no hook of it.

    Shares are of the hidden units of all layers whose units may change. The places of an image count as samples.

    Args:
        network: any that Avalanche can call, and whose structure can be analysed.
        x: samples, of shape (n, ...).
        y: targets, of shape (n,).
        task_labels: of shape (n,).
        criterion: the loss of outputs and targets, a scalar.
        newborn: for each layer which units count as newborn, bool of shape (units,).

    Returns:
        These numbers by name; None where there is no such number. Of a network whose structure cannot be analysed there
        are `weight_norm` and `gradient_norm` alone.

        - `dormant_units`: share in [0, 1], see `dormant`; None where no hidden activation is ever zero, as with tanh;
        - `dormant_units_redo`: share, see `dormant_redo`;
        - `effective_rank`, `stable_rank`: of what the output layer is given;
        - `weight_norm`: see `mean_magnitude`; of all weights, without biases and normalisation;
        - `gradient_norm`: of the loss, over all parameters that are trained;
        - `gradient_norm_newborn`: mean over the newborn units of the norm of their fan-in's gradient (without biases);
        - `gradient_norm_incumbent`: the same over all others;
        - `frozen_units`: share, see `mutually_frozen`;
        - `protected_units`: share of the units that were frozen on purpose.
    """

    def loss() -> Tensor:
        return criterion(avalanche_forward(network, x, task_labels), y)

    structure = _analysed(network, x)
    layers = [] if structure is None else [layer for layer in structure.layers.values() if layer.fixed is None]
    names = [] if structure is None else [layer.name for layer in layers if _watchable(structure, layer)]
    recorded = Activations(names)
    if structure is not None:
        recorded.start(structure)
    try:
        features, gradients = _passed(network, loss, _output_modules(layers))
    finally:
        recorded.stop()
    activations = list(_of(recorded, names))
    values = {
        "dormant_units": _share(dormant(given) for given in activations if _may_be_silent(given)),
        "dormant_units_redo": _share(map(dormant_redo, activations)),
        "effective_rank": math.nan if features is None else effective_rank(features),
        "stable_rank": math.nan if features is None else stable_rank(features),
        "weight_norm": mean_magnitude(weight for weight in network.parameters() if weight.dim() > 1),
        "gradient_norm": gradient_norm(gradients.values()),
        **_integration(network, layers, gradients, newborn or {}),
        "frozen_units": _share(_mutually_frozen(network, layer) for layer in layers),
        "protected_units": _share(~unfrozen(network, layer) for layer in layers),
    }
    return {name: value if math.isfinite(value) else None for name, value in values.items()}


def _analysed(network: nn.Module, x: Tensor) -> Structure | None:
    try:
        return Structure(network, *inputs_of(network, x[:1]))
    except StructureError:
        return None


def _passed(
    network: nn.Module, loss: Callable[[], Tensor], outputs: Iterable[str]
) -> tuple[Tensor | None, dict[nn.Parameter, Tensor]]:
    """Return what the output modules were given in a pass, and the gradient of each parameter."""
    given: list[Tensor] = []
    hook = _keeping(given)
    handles = [network.get_submodule(name).register_forward_pre_hook(hook, with_kwargs=True) for name in outputs]
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    try:
        with evaluating(network), torch.enable_grad():
            gradients = torch.autograd.grad(loss(), trained, allow_unused=True)
    finally:
        for handle in handles:
            handle.remove()
    # A multi-head network gives its features to one head after the other.
    features = torch.cat([part for part in given if part.shape[1:] == given[-1].shape[1:]]) if given else None
    return features, {key: gradient for key, gradient in zip(trained, gradients, strict=True) if gradient is not None}


def _watchable(structure: Structure, layer: Layer) -> bool:
    try:
        check_watchable(structure, layer.name)
    except UsageError:
        return False
    return True


def _output_modules(layers: Iterable[Layer]) -> list[str]:
    """Name the modules that read hidden units and make none."""
    readers = [slot.module for layer in layers for slot in layer.slots_of(Role.FAN_OUT)]
    makers = {slot.module for layer in layers for slot in layer.slots_of(Role.FAN_IN)}
    return [name for name in dict.fromkeys(readers) if name not in makers]


def _keeping(given: list[Tensor]) -> Callable[[nn.Module, tuple[Any, ...], dict[str, Any]], None]:
    def hook(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        del module
        given.append((args[0] if args else kwargs["input"]).detach().flatten(1))

    return hook


def _of(recorded: Activations, names: Iterable[str]) -> Iterator[Tensor]:
    """Yield the activations of each layer that had a part in the pass."""
    for name in names:
        with suppress(UsageError):
            yield recorded.of(name)


def _may_be_silent(activations: Tensor) -> bool:
    """Tell whether a unit can be at zero: not where values fall below it and none lies on it, as with tanh."""
    return bool((activations == 0).any() or (activations >= 0).all())


def _share(marks: Iterable[Tensor]) -> float:
    """Return the share of all units that is marked; NaN where there are no units."""
    counts = [(int(mark.sum()), len(mark)) for mark in marks]
    units = sum(number for _, number in counts)
    return sum(marked for marked, _ in counts) / units if units else math.nan


def _mutually_frozen(network: nn.Module, layer: Layer) -> Tensor:
    return mutually_frozen(norm_by_unit(network, layer, Role.FAN_IN), norm_by_unit(network, layer, Role.FAN_OUT))


def _integration(
    network: nn.Module,
    layers: Iterable[Layer],
    gradients: Mapping[nn.Parameter, Tensor],
    newborn: Mapping[str, Tensor],
) -> dict[str, float]:
    """Compare the gradients of new units with those of old ones (On the Stability of Growth 2026, arXiv:2605.15435)."""

    def squares(weight: Tensor) -> Tensor | None:
        gradient = gradients.get(weight) if isinstance(weight, nn.Parameter) else None
        return None if gradient is None else gradient.square()

    norms, young = [torch.zeros(0)], [torch.zeros(0, dtype=torch.bool)]
    for layer in layers:
        norms.append(sum_by_unit(network, layer, squares, Role.FAN_IN).sqrt().cpu())
        young.append(newborn.get(layer.name, torch.zeros(layer.units, dtype=torch.bool)).cpu())
    norm, new = torch.cat(norms), torch.cat(young)
    return {
        "gradient_norm_newborn": float(norm[new].mean()),
        "gradient_norm_incumbent": float(norm[~new].mean()),
    }
