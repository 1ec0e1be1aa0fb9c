"""Measures the size of a network: parameters, hidden units and multiply-accumulates, with and without its masks."""

from __future__ import annotations

from dataclasses import dataclass

from avalanche.models import IncrementalClassifier, MultiHeadClassifier
from avalanche.models.utils import is_multi_task_module
from torch import Tensor, nn

from lifelong.structure import NetworkTally, count


@dataclass(frozen=True)
class Size:
    """Tells what a network has, and what one forward pass of one sample costs.

    Attributes:
        parameters: entries of all parameters, pruned ones too.
        live_parameters: those that are not pruned.
        units: hidden neurons, channels and attention heads that have a synapse left to read with.
        macs: multiply-accumulates, as many as without masks: what a dense machine computes.
        live_macs: the same, where a product with a weight counts by that weight's density.
    """

    parameters: int
    live_parameters: int
    units: int
    macs: int
    live_macs: int


def measure(model: nn.Module, x: Tensor, task_labels: Tensor) -> Size:
    """Return the size of a network. Nothing of the network changes (see `lifelong.structure.count`).

    Args:
        model: any network that Avalanche can call.
        x: one sample, of shape (1, ...).
        task_labels: its task label, int64 of shape (1,).
    """
    tally = count(model, x, task_labels) if is_multi_task_module(model) else count(model, x)
    return Size(tally.parameters, tally.live_parameters, _hidden_units(model, tally), tally.macs, tally.live_macs)


def _hidden_units(model: nn.Module, tally: NetworkTally) -> int:
    """Count the live units of all layers but the classifiers: Avalanche's, else the last layer that has units."""
    layers = {name: layer.live_units for name, layer in tally.layers.items() if layer.units}
    return sum(layers.values()) - sum(layers[name] for name in _classifiers(model) & set(layers) or list(layers)[-1:])


def _classifiers(model: nn.Module) -> set[str]:
    """Return the names of the modules that lie in one of Avalanche's classifiers."""
    return {
        f"{name}.{inner}".strip(".")
        for name, module in model.named_modules()
        if isinstance(module, IncrementalClassifier | MultiHeadClassifier)
        for inner, _ in module.named_modules()
    }
