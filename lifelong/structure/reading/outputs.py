"""Finds the tensors in what a module returns, whatever holds them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from collections.abc import Set as AnySet
from typing import Any

from torch import Tensor, nn
from torch.utils._pytree import tree_leaves


def outputs_in(value: Any) -> list[Tensor]:
    """Return the tensors in a module's result, each once.

    Tuples, lists, mappings, sets, dataclasses and objects of any class are opened, as deep as they go. What torch's
    pytree opens is opened in its order.

    >>> import torch
    >>> from types import SimpleNamespace
    >>> [len(tensor) for tensor in outputs_in({"a": torch.zeros(2), "b": SimpleNamespace(c=[torch.zeros(3)])})]
    [2, 3]
    """
    return list({id(tensor): tensor for tensor in _tensors(value, set())}.values())


def _tensors(value: Any, opened: set[int]) -> Iterator[Tensor]:
    for leaf in tree_leaves(value):
        if isinstance(leaf, Tensor):
            yield leaf
        elif id(leaf) not in opened and not isinstance(leaf, nn.Module | type):
            opened.add(id(leaf))  # an object may lead back to itself
            for inner in _held(leaf):
                yield from _tensors(inner, opened)


def _held(value: Any) -> Iterator[Any]:
    """Yield what a leaf holds that the pytree does not open."""
    if isinstance(value, Mapping):
        yield from value.values()
    elif isinstance(value, tuple | list | AnySet):
        yield from value
    names = [name for kind in type(value).__mro__ for name in getattr(kind, "__slots__", ())]
    yield from (getattr(value, name) for name in names if hasattr(value, name))
    yield from getattr(value, "__dict__", {}).values()
