"""States that a network is in for a while: eval mode, other tensors in the places of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from lifelong.structure.holding.marks import tensor_of


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """Every module in eval mode, by its flag alone: its own `eval` may do more. Afterwards each as it was."""
    modes = [(module, module.training) for module in network.modules()]
    for module, _ in modes:
        module.training = False
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode


@contextmanager
def standing_in(network: nn.Module, tensors: Mapping[str, Tensor]) -> Iterator[None]:
    """Other tensors in the places of parameters and buffers, wherever these are held; they are not written to.

    `torch.func.functional_call` does the same, but leaves its tensors behind where a module has two names.

    Args:
        network: to run with them.
        tensors: by the names of those that they stand in for.
    """
    instead = {id(tensor_of(network, name)): tensor for name, tensor in tensors.items()}
    originals: list[tuple[dict[str, Any], str, Any]] = []
    for module in network.modules():
        for held in (module._parameters, module._buffers):
            originals += [(held, name, tensor) for name, tensor in held.items() if id(tensor) in instead]
    for place, name, tensor in originals:
        place[name] = instead[id(tensor)]
    try:
        yield
    finally:
        for place, name, tensor in originals:
            place[name] = tensor
