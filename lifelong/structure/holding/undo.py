"""Undoes what was done to a network's modules, so that a change happens as a whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn

_Noted = tuple[nn.Module, type[nn.Module], dict[str, Any], dict[str, Any]]
"""A module, its class, its attributes, and what those of them hold that are containers."""


@contextmanager
def undone_on_error(network: nn.Module) -> Iterator[None]:
    """Put every module's attributes, tensors, children and hooks back on an error: the same objects as before.

    What is written *into* a tensor is not undone. Changes put new tensors in the old ones' places instead.
    """
    before = _noted(network)
    try:
        yield
    except BaseException:
        _put_back(before)
        raise


@contextmanager
def undone(network: nn.Module) -> Iterator[None]:
    """Put all of that back whether there is an error or not, such as what modules keep of a forward pass."""
    before = _noted(network)
    try:
        yield
    finally:
        _put_back(before)


def _noted(network: nn.Module) -> list[_Noted]:
    return [(module, module.__class__, dict(module.__dict__), _contents(module)) for module in network.modules()]


def _put_back(before: list[_Noted]) -> None:
    # Containers keep their identity and get their contents back, because others (hooks' handles) refer to them.
    for module, kind, attributes, contents in before:
        module.__class__ = kind
        module.__dict__.clear()
        module.__dict__.update(attributes)
        for name, content in contents.items():
            held = module.__dict__[name]
            held.clear()
            (held.extend if isinstance(held, list) else held.update)(content)


def _contents(module: nn.Module) -> dict[str, Any]:
    return {name: value.copy() for name, value in module.__dict__.items() if isinstance(value, dict | set | list)}
