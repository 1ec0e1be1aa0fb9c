"""Finds out what in a strategy cannot be pickled."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import cloudpickle

DEPTH = 6
"""How many levels of attributes are looked into."""


def unpicklable(strategy: object) -> str:
    """Return the innermost attribute that cannot be pickled, such as `Plugin.file` (TextIOWrapper), and the reason."""
    path, culprit = type(strategy).__name__, strategy
    for _ in range(DEPTH):
        step = next(((name, value) for name, value in _inside(culprit) if _refusal(value)), None)
        if step is None:
            break
        own = hasattr(step[1], "__dict__")  # an object with attributes is found by its class
        path, culprit = type(step[1]).__name__ if own else path + step[0], step[1]
    return f"`{path}` ({type(culprit).__name__}): {_refusal(culprit)}"


def _refusal(value: object) -> str:
    """Return why a value cannot be pickled; an empty text where it can."""
    try:
        cloudpickle.dumps(value)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return ""


def _inside(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield what an object holds, each value after the way to it from the object."""
    if isinstance(value, dict):
        yield from ((f"[{key!r}]", inner) for key, inner in value.items())
    elif isinstance(value, list | tuple | set):
        yield from ((f"[{index}]", inner) for index, inner in enumerate(value))
    else:
        yield from ((f".{name}", inner) for name, inner in getattr(value, "__dict__", {}).items())
