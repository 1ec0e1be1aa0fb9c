"""Measures the size of a network: parameters, hidden units and multiply-accumulates, with and without its masks."""

from __future__ import annotations

from dataclasses import dataclass

from avalanche.models import IncrementalClassifier, MultiHeadClassifier
from avalanche.models.utils import is_multi_task_module
from torch import Tensor, nn

from lifelong.structure import NetworkTally, count


@dataclass(frozen=True)
class Size:
    """Says what a network has, and what one forward pass of one sample costs. All are counts, at least 0.

    Attributes:
        parameters: the entries of all parameters, pruned ones included.
        live_parameters: the entries that are not pruned.
        units: the hidden neurons, channels and attention heads that read with at least one synapse that is not pruned.
        macs: the multiply-accumulates that a dense machine computes, as if there were no masks.
        live_macs: the same, where each product with a weight counts by the density of that weight, in [0, 1].
    """

    parameters: int
    live_parameters: int
    units: int
    macs: int
    live_macs: int


def measure(model: nn.Module, x: Tensor, task_labels: Tensor) -> Size:
    """Measure the size of a network as it is. The network does not change (see `lifelong.structure.count`).

    >>> import torch
    >>> network = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
    >>> measure(network, torch.zeros(1, 4), torch.zeros(1, dtype=torch.long))
    Size(parameters=23, live_parameters=23, units=3, macs=18, live_macs=18)

    Args:
        model: any network that Avalanche can call.
        x: one sample, of shape (1, ...).
        task_labels: its task label, int64, of shape (1,).
    """
    total = count(model, x, task_labels) if is_multi_task_module(model) else count(model, x)
    return Size(total.parameters, total.live_parameters, _hidden_units(model, total), total.macs, total.live_macs)


def _hidden_units(model: nn.Module, total: NetworkTally) -> int:
    """Return the live units of all layers but the classifiers.

    These are Avalanche's classifiers; if there are none, the last layer that has units is the classifier.
    """
    layers = {name: tally.live_units for name, tally in total.layers.items() if tally.units}
    return sum(layers.values()) - sum(layers[name] for name in _classifiers(model) & set(layers) or list(layers)[-1:])


def _classifiers(model: nn.Module) -> set[str]:
    """Return the names of Avalanche's classifiers, and of all modules inside them."""
    return {
        f"{name}.{inner}".strip(".")
        for name, module in model.named_modules()
        if isinstance(module, IncrementalClassifier | MultiHeadClassifier)
        for inner, _ in module.named_modules()
    }
