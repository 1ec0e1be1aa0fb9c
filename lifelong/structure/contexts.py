"""Puts a network into a state for a while: eval mode, or other tensors in the places of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from lifelong.structure.holding.marks import tensor_of


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """Put every module into eval mode, and afterwards back into its own mode.

    Only the flag `training` is set, because a module's own `train` and `eval` may do more.

    >>> network = nn.Sequential(nn.Linear(3, 5), nn.Dropout().eval())
    >>> with evaluating(network):
    ...     [module.training for module in network]
    [False, False]
    >>> [module.training for module in network]
    [True, False]
    """
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
    """Put other tensors in the places of parameters and buffers, wherever these are held; the originals come back.

    `torch.func.functional_call` does the same, but leaves its tensors behind where a module has two names.

    Args:
        network: the network that is run with them.
        tensors: the other tensors, by the names of those that they stand in for.
    """
    # By identity: a tied parameter has several places, and all of them get the same stand-in.
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
