"""Takes all readings of a network's ability to go on learning at once, and leaves no trace in it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import torch
from avalanche.models import avalanche_forward
from torch import Tensor, nn

from lifelong.errors import UsageError
from lifelong.measures.plasticity import (
    dormant,
    dormant_redo,
    effective_rank,
    gradient_norm,
    mean_magnitude,
    mutually_frozen,
    stable_rank,
)
from lifelong.plasticity.activations import Activations, check_watchable
from lifelong.plasticity.candidates import unfrozen
from lifelong.plasticity.inputs import inputs_of
from lifelong.plasticity.weights import norm_by_unit, sum_by_unit
from lifelong.structure import Layer, Role, Structure, StructureError
from lifelong.structure.contexts import evaluating


@dataclass(frozen=True)
class Inspection:
    """What was read of a network.

    Attributes:
        values: the readings by name; None where there is no such number.
        unread: why readings that should exist could not be taken, by their names, as in
            `{"gradient_norm": "the loss has no gradient"}`.
    """

    values: dict[str, float | None]
    unread: dict[str, str]


def inspect(
    network: nn.Module,
    x: Tensor,
    y: Tensor,
    task_labels: Tensor,
    criterion: Callable[[Tensor, Tensor], Tensor],
    newborn: Mapping[str, Tensor] | None = None,
    forward: Callable[[], Tensor] | None = None,
) -> Inspection:
    """Measure a network on a sample of data, in eval mode. It keeps no gradient, no statistic and no hook of it.

    Shares are of the hidden units of all layers whose units may change. The places of an image count as samples. A
    reading that fails is None, whatever the reason, and does not touch the others.

    Args:
        network: any that Avalanche can call.
        x: samples, of shape (n, ...).
        y: targets, of shape (n,).
        task_labels: of shape (n,).
        criterion: the loss of outputs and targets, a scalar.
        newborn: for each layer which units count as newborn, bool of shape (units,).
        forward: gives the outputs for x, where they are not those of the network itself, such as a strategy's own
            forward pass.

    Returns:
        These readings. Of a network whose structure cannot be analysed there are `weight_norm` and `gradient_norm`
        alone.

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
    structure = _analysed(network, x)
    layers = [] if structure is None else [layer for layer in structure.layers.values() if layer.fixed is None]
    names = [] if structure is None else [layer.name for layer in layers if _watchable(structure, layer)]
    recorded = Activations(names)
    outputs = forward or partial(avalanche_forward, network, x, task_labels)
    with ExitStack() as stack:
        if structure is not None:
            recorded.start(structure)
            stack.callback(recorded.stop)
        seen = _pass(network, outputs, lambda output: criterion(output, y), _output_modules(layers))
    activations, readings = list(_of(recorded, names)), _Readings()
    readings.take("dormant_units", lambda: _share(dormant(given) for given in activations if _may_be_silent(given)))
    readings.take("dormant_units_redo", lambda: _share(map(dormant_redo, activations)))
    readings.take("effective_rank", lambda: math.nan if seen.features is None else effective_rank(seen.features))
    readings.take("stable_rank", lambda: math.nan if seen.features is None else stable_rank(seen.features))
    readings.take("weight_norm", lambda: mean_magnitude(weight for weight in network.parameters() if weight.dim() > 1))
    readings.take("gradient_norm", lambda: gradient_norm(seen.gradients.values()), seen.failure)
    for name, mean in _integration(network, layers, seen.gradients, newborn or {}).items():
        readings.take(name, mean, seen.failure)
    readings.take("frozen_units", lambda: _share(_mutually_frozen(network, layer) for layer in layers))
    readings.take("protected_units", lambda: _share(~unfrozen(network, layer) for layer in layers))
    return Inspection(readings.values, readings.unread)


class _Readings:
    """Takes readings one by one, so that one that fails does not touch the others."""

    def __init__(self) -> None:
        self.values: dict[str, float | None] = {}
        self.unread: dict[str, str] = {}

    def take(self, name: str, reading: Callable[[], float], failure: str = "") -> None:
        """Take a reading, or note why there is none.

        Args:
            name: the reading's name.
            reading: returns it; NaN where there is no such number.
            failure: why what it rests on does not exist; empty where it does.
        """
        value = math.nan
        if failure:
            self.unread[name] = failure
        else:
            try:
                value = reading()
            except Exception as error:
                self.unread[name] = _reason(error)
        self.values[name] = value if math.isfinite(value) else None


def _reason(error: Exception) -> str:
    first = next(iter(str(error).strip().splitlines()), "")
    return f"{type(error).__name__}: {first}"


def _analysed(network: nn.Module, x: Tensor) -> Structure | None:
    try:
        return Structure(network, *inputs_of(network, x[:1]))
    except StructureError:
        return None


@dataclass
class _Pass:
    """What is known after a pass forward and back.

    Attributes:
        features: what the output modules were given, of shape (n, width); None where there are none.
        gradients: the gradient of each parameter that the loss reaches.
        failure: why there are no gradients; empty where there are.
    """

    features: Tensor | None
    gradients: dict[nn.Parameter, Tensor]
    failure: str = ""


def _pass(
    network: nn.Module, outputs: Callable[[], Tensor], loss: Callable[[Tensor], Tensor], modules: Iterable[str]
) -> _Pass:
    """Make a pass forward, and one back from the loss, and keep what some modules were given."""
    given: list[Tensor] = []
    hook = _keeping(given)
    handles = [network.get_submodule(name).register_forward_pre_hook(hook, with_kwargs=True) for name in modules]
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    gradients: dict[nn.Parameter, Tensor] = {}
    failure = ""
    try:
        with evaluating(network), torch.enable_grad():
            value = loss(outputs())
            if value.requires_grad and trained:
                reached = torch.autograd.grad(value, trained, allow_unused=True)
                gradients = {key: one for key, one in zip(trained, reached, strict=True) if one is not None}
            elif trained:
                failure = "the loss in eval mode has no gradient"
    except Exception as error:
        failure = _reason(error)
    finally:
        for handle in handles:
            handle.remove()
    # A multi-head network gives its features to one head after the other.
    features = torch.cat([part for part in given if part.shape[1:] == given[-1].shape[1:]]) if given else None
    return _Pass(features, gradients, failure)


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
) -> dict[str, Callable[[], float]]:
    """Compare the gradients of new units with those of old ones (On the Stability of Growth 2026, arXiv:2605.15435)."""

    def squares(weight: Tensor) -> Tensor | None:
        gradient = gradients.get(weight) if isinstance(weight, nn.Parameter) else None
        return None if gradient is None else gradient.square()

    @cache
    def norms_and_young() -> tuple[Tensor, Tensor]:
        norms, young = [torch.zeros(0)], [torch.zeros(0, dtype=torch.bool)]
        for layer in layers:
            norms.append(sum_by_unit(network, layer, squares, Role.FAN_IN).sqrt().cpu())
            young.append(newborn.get(layer.name, torch.zeros(layer.units, dtype=torch.bool)).cpu())
        return torch.cat(norms), torch.cat(young)

    def mean(*, of_newborn: bool) -> float:
        norms, young = norms_and_young()
        return float(norms[young == of_newborn].mean())

    return {
        "gradient_norm_newborn": partial(mean, of_newborn=True),
        "gradient_norm_incumbent": partial(mean, of_newborn=False),
    }
