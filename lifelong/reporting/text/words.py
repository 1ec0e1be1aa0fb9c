"""Words and numbers that several tables share."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, TypeVar

from lifelong.records.metrics import RUN_METRICS, Quantity
from lifelong.reporting.text.numbers import write
from lifelong.reporting.text.table import NONE

if TYPE_CHECKING:  # a list of what there is needs no statistics
    from lifelong.reporting.statistics.bootstrap import Interval

Thing = TypeVar("Thing")
Key = TypeVar("Key")


def heading(name: str) -> str:
    """Return a metric's title, and whether higher is better: `Forgetting ↓`."""
    return f"{RUN_METRICS[name].title} {arrow(name)}"


def arrow(name: str) -> str:
    """Return an arrow that points to where better values lie."""
    return "↑" if RUN_METRICS[name].higher_is_better else "↓"


def signed(value: float, quantity: Quantity) -> str:
    """Write a difference: `+0.031`."""
    return f"{'-' if value < 0 else '+'}{write(abs(value), quantity)}"


def written(interval: Interval | None, n: int, name: str) -> str:
    """Write `0.912 [0.905, 0.919]`: a mean with its interval; of a cost the mean alone.

    Args:
        interval: what to write; None is written as `-`.
        n: the runs of the row. Where the interval rests on fewer, `(n = 2)` says on how many.
        name: the metric.

    Returns:
        The parts, with a line break between them, where a narrow table breaks the cell.
    """
    metric = RUN_METRICS[name]
    if interval is None or interval.mean is None:
        return NONE
    parts = [write(interval.mean, metric.quantity)]
    if interval.low is not None and interval.high is not None and not metric.is_cost:
        parts.append(f"[{write(interval.low, metric.quantity)}, {write(interval.high, metric.quantity)}]")
    if interval.n < n:
        parts.append(f"(n = {interval.n})")
    return "\n".join(parts)


def grouped(things: Iterable[Thing], key: Callable[[Thing], Key]) -> dict[Key, list[Thing]]:
    """Return things by what they have in common, in the order in which it comes first."""
    groups: dict[Key, list[Thing]] = {}
    for thing in things:
        groups.setdefault(key(thing), []).append(thing)
    return groups
