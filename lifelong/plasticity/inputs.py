"""Read a network's structure, from an example of what the network is called with."""

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
    """Return what the network can be called with: one sample, or one for each head if it has a head for each task.

    Reading a sample may draw random numbers, where the data are augmented. The state of the generators is put back
    afterwards, so that training sees the same numbers as without this call.

    Args:
        network: a network that Avalanche can call.
        dataset: a data set that is not empty.
        device: the device of the network.

    Returns:
        The inputs x, of shape (1, ...), or x of shape (heads, ...) and task labels, int64 of shape (heads,).
    """
    with untouched_generators():
        x = torch.as_tensor(dataset[0][0])
    return inputs_of(network, x[None].to(device))


def inputs_of(network: nn.Module, x: Tensor) -> tuple[Any, ...]:
    """Return the same as `example_inputs`, from a batch of one sample, of shape (1, ...)."""
    if not is_multi_task_module(network):
        return (x,)
    # Every head has to be reached by the trace, else its weights would not follow a change of the layer before it.
    classifiers = [module for module in network.modules() if isinstance(module, MultiHeadClassifier)]
    heads = {int(task) for classifier in classifiers for task in classifier.classifiers}
    if not heads:  # a multi-task network of another kind, which takes None for "all tasks"
        return x, None
    return x.expand(len(heads), *x.shape[1:]), torch.tensor(sorted(heads), device=x.device)


def structure_of(network: nn.Module, inputs: tuple[Any, ...], optimizer: Optimizer | None = None) -> Structure:
    """Analyse a network whose structure is to be changed.

    Args:
        network: the network.
        inputs: what it is called with, see `example_inputs`.
        optimizer: the optimizer whose state has to follow each change.

    Raises:
        UsageError: if the network cannot be analysed; the message gives the reason.
    """
    try:
        return Structure(network, *inputs, optimizer=optimizer)
    except StructureError as error:
        raise UsageError(f"the network cannot be changed: {error}") from None


def is_of(structure: Structure, strategy: Any, inputs: tuple[Any, ...]) -> bool:
    """Tell whether a structure still describes a strategy's network, its optimizer, and the shapes of its inputs."""
    shapes = [[getattr(value, "shape", None) for value in given] for given in (structure.inputs, inputs)]
    return structure.network is strategy.model and structure.optimizer is strategy.optimizer and shapes[0] == shapes[1]
