"""A network's structure, from an example of what the network is called with."""

from __future__ import annotations

from typing import Any

import torch
from avalanche.benchmarks.utils import AvalancheDataset
from avalanche.models import MultiHeadClassifier
from avalanche.models.utils import is_multi_task_module
from torch import Tensor, nn
from torch.optim import Optimizer

from lifelong.errors import UsageError
from lifelong.seeds import untouched_generators
from lifelong.structure import Structure, StructureError


def example_inputs(network: nn.Module, dataset: AvalancheDataset[Any], device: torch.device | str) -> tuple[Any, ...]:
    """One sample; where there are heads for tasks, one sample for each head, so that every head is reached.

    Transformations of the data that draw at random draw for nobody: training sees the numbers that it would see anyway.

    Args:
        network: any that Avalanche can call.
        dataset: not empty.
        device: the network's.
    """
    with untouched_generators():
        x = torch.as_tensor(dataset[0][0])
    return inputs_of(network, x[None].to(device))


def inputs_of(network: nn.Module, x: Tensor) -> tuple[Any, ...]:
    """The same, from a batch of one sample, of shape (1, ...)."""
    if not is_multi_task_module(network):
        return (x,)
    classifiers = [module for module in network.modules() if isinstance(module, MultiHeadClassifier)]
    heads = {int(task) for classifier in classifiers for task in classifier.classifiers}
    if not heads:
        return x, None
    return x.expand(len(heads), *x.shape[1:]), torch.tensor(sorted(heads), device=x.device)


def structure_of(network: nn.Module, inputs: tuple[Any, ...], optimizer: Optimizer | None = None) -> Structure:
    """The structure of a network that is to be changed.

    Raises:
        UsageError: if it cannot be analysed, with the reason.
    """
    try:
        return Structure(network, *inputs, optimizer=optimizer)
    except StructureError as error:
        raise UsageError(f"the network cannot be changed: {error}") from None


def is_of(structure: Structure, strategy: Any, inputs: tuple[Any, ...]) -> bool:
    """Whether a structure is of a strategy's network, as it is called now, and of its optimizer."""
    shapes = [[getattr(value, "shape", None) for value in given] for given in (structure.inputs, inputs)]
    return structure.network is strategy.model and structure.optimizer is strategy.optimizer and shapes[0] == shapes[1]


__all__ = ["example_inputs", "inputs_of", "is_of", "structure_of"]
