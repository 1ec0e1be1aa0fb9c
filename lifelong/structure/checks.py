"""Checks of arguments that need no look at the network."""

from __future__ import annotations

from collections.abc import Iterable
from operator import index
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter
from torch.optim import Optimizer

from lifelong.structure.errors import StructureError


def check_subjects(network: Any, inputs: tuple[Any, ...], optimizer: Any) -> None:
    """Raise a StructureError unless this is a network with example inputs, and an optimizer of it or None."""
    if not isinstance(network, nn.Module):
        raise StructureError(f"the network has to be an nn.Module, not {_kind(network)}")
    if any(isinstance(value, Optimizer) for value in inputs):
        raise StructureError("an optimizer is no input of the network: pass it as optimizer=...")
    if not inputs:
        raise StructureError("no example inputs were given: pass what the network is called with")
    _refuse_compiled(network)
    if optimizer is None:
        return
    if not isinstance(optimizer, Optimizer):
        raise StructureError(f"the optimizer has to be a torch.optim.Optimizer, not {_kind(optimizer)}")
    trained = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
    if not any(id(parameter) in trained for parameter in network.parameters()):
        raise StructureError("the optimizer trains none of the network's parameters")


def check_name(name: Any, kind: str = "layer") -> None:
    """Raise a StructureError if something else than a name was given."""
    if not isinstance(name, str):
        raise StructureError(f"a {kind} is given by its name, not as {_kind(name)}")


def whole(value: Any, what: str) -> int:
    """Return a whole number of at least 1, given as any integer type.

    Args:
        value: the number.
        what: what the number counts, for the error.

    Raises:
        StructureError: if it is no such number.
    """
    try:
        number = index(value)
    except TypeError:
        number = 0
    # Python counts True as 1: here it is a mistake.
    if isinstance(value, bool) or number < 1:
        raise StructureError(f"{what} has to be a whole number of at least 1, not {value!r}")
    return number


def unit_numbers(units: Any, layer: str) -> tuple[int, ...]:
    """Return units as plain integers, from any iterable of integers.

    >>> unit_numbers(torch.tensor([0, 3]), "fc1")
    (0, 3)

    Raises:
        StructureError: if they are something else: a mask, a count, floating-point numbers, text.
    """
    if isinstance(units, Tensor):
        units = units.tolist()
    if isinstance(units, str) or not isinstance(units, Iterable):
        raise StructureError(f"{layer!r}: units are given by their numbers, such as [0, 3], not as {units!r}")
    given = list(units)
    if any(isinstance(unit, bool) for unit in given):
        raise StructureError(f"{layer!r}: units are given by their numbers, not by a mask: mask.nonzero().flatten()")
    try:
        return tuple(index(unit) for unit in given)
    except TypeError:
        raise StructureError(f"{layer!r}: units are given by their numbers, such as [0, 3], not as {given!r}") from None


def _kind(value: Any) -> str:
    return f"the class {value.__name__}" if isinstance(value, type) else f"a {type(value).__name__}"


def _refuse_compiled(network: nn.Module) -> None:
    for name, module in network.named_modules():
        place = f"module {name!r}" if name else "the network"
        if isinstance(module, torch.jit.ScriptModule):
            raise StructureError(f"{place} is traced or scripted: its structure is frozen in its code")
        if hasattr(module, "_orig_mod"):
            raise StructureError(f"{place} is compiled: give the network that was passed to torch.compile")
        tensors = [*module._parameters.values(), *module._buffers.values()]
        if any(isinstance(tensor, UninitializedParameter | UninitializedBuffer) for tensor in tensors):
            raise StructureError(f"{place} has no sizes yet: run the network once first")
