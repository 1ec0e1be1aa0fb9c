"""Finds what cannot be pickled in a strategy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import cloudpickle

DEPTH = 6
"""How many levels of attributes and entries to go down."""


def unpicklable(strategy: object) -> str:
    """Name the innermost attribute that cannot be pickled, and say why.

    >>> unpicklable({"rates": [0.1, iter(range(2)), (one for one in "ab")]})
    "`dict['rates'][2]` (generator): TypeError: cannot pickle 'generator' object"
    """
    path, culprit = type(strategy).__name__, strategy
    for _ in range(DEPTH):
        step = next(((name, value) for name, value in _inside(culprit) if _refusal(value)), None)
        if step is None:
            break
        own = hasattr(step[1], "__dict__")  # an object with attributes is best recognised by its class
        path, culprit = type(step[1]).__name__ if own else path + step[0], step[1]
    return f"`{path}` ({type(culprit).__name__}): {_refusal(culprit)}"


def _refusal(value: object) -> str:
    """Return why a value cannot be pickled; empty where it can."""
    try:
        cloudpickle.dumps(value)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return ""


def _inside(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield what an object holds, each with the text that leads to it, such as `.memory` or `[2]`."""
    if isinstance(value, dict):
        yield from ((f"[{key!r}]", inner) for key, inner in value.items())
    elif isinstance(value, list | tuple | set):
        yield from ((f"[{index}]", inner) for index, inner in enumerate(value))
    else:
        yield from ((f".{name}", inner) for name, inner in getattr(value, "__dict__", {}).items())
