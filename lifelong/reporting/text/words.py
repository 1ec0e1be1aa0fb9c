"""Words and numbers that all tables share."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import TypeVar

from lifelong.records.bounds import plain
from lifelong.records.metrics import RUN_METRICS
from lifelong.reporting.statistics.bootstrap import Interval
from lifelong.reporting.text.numbers import write

NONE = "-"
Thing = TypeVar("Thing")
Key = TypeVar("Key")


def heading(name: str) -> str:
    """A metric's title, and whether higher is better."""
    return f"{RUN_METRICS[name].title} {arrow(name)}"


def arrow(name: str) -> str:
    """Where what is better lies."""
    return "↑" if RUN_METRICS[name].higher_is_better else "↓"


def written(found: Interval | None, n: int, name: str, separator: str) -> str:
    """`0.912 [0.905, 0.919]`, the mean alone of a cost, and for how many of the row's n runs if not for all."""
    metric = RUN_METRICS[name]
    if found is None or found.mean is None:
        return NONE
    parts = [write(found.mean, metric.quantity)]
    if found.low is not None and found.high is not None and not metric.is_cost:
        parts.append(f"[{write(found.low, metric.quantity)}, {write(found.high, metric.quantity)}]")
    if found.n < n:
        parts.append(f"(n = {found.n})")
    return separator.join(parts)


def escape(text: str) -> str:
    """Text that markdown shows as it is, in a table too."""
    return re.sub(r"([\\`*_{}\[\]<>|~#&@])", r"\\\1", plain(text))


def grouped(things: Iterable[Thing], key: Callable[[Thing], Key]) -> dict[Key, list[Thing]]:
    """By what they have in common, in the order in which that first comes."""
    groups: dict[Key, list[Thing]] = {}
    for thing in things:
        groups.setdefault(key(thing), []).append(thing)
    return groups


__all__ = ["NONE", "arrow", "escape", "grouped", "heading", "written"]
