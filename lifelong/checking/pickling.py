"""What of a strategy cannot be pickled."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import cloudpickle

DEPTH = 6
"""How far to look into what holds it."""


def unpicklable(strategy: object) -> str:
    """The innermost attribute that cannot be pickled, as `Plugin.file` (TextIOWrapper): and why."""
    path, culprit = type(strategy).__name__, strategy
    for _ in range(DEPTH):
        step = next(((name, value) for name, value in _inside(culprit) if _refusal(value)), None)
        if step is None:
            break
        own = hasattr(step[1], "__dict__")  # an object with attributes is found by its class
        path, culprit = type(step[1]).__name__ if own else path + step[0], step[1]
    return f"`{path}` ({type(culprit).__name__}): {_refusal(culprit)}"


def _refusal(value: object) -> str:
    """Why it cannot be pickled; empty where it can."""
    try:
        cloudpickle.dumps(value)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return ""


def _inside(value: Any) -> Iterator[tuple[str, Any]]:
    """What an object holds, each with how it is reached from it."""
    if isinstance(value, dict):
        yield from ((f"[{key!r}]", held) for key, held in value.items())
    elif isinstance(value, list | tuple | set):
        yield from ((f"[{index}]", held) for index, held in enumerate(value))
    else:
        yield from ((f".{name}", held) for name, held in getattr(value, "__dict__", {}).items())
