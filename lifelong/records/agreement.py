"""Tells how far two records of one run agree in what they measured. Times and provenance may differ."""

from __future__ import annotations

import math

from lifelong.records.record import Record


def difference(one: Record, other: Record) -> float:
    """Return the largest difference between entries of R, in [0, 1].

    It is infinite if one record has an entry that the other lacks. A stream without classes has an empty R; there it is
    the largest difference between the online losses.
    """
    mine, theirs = _scores(one), _scores(other)
    if len(mine) != len(theirs):
        return math.inf
    return max((_apart(a, b) for a, b in zip(mine, theirs, strict=True)), default=0.0)


def identical(one: Record, other: Record) -> bool:
    """Tell whether R, capacity and events are the same, bit for bit."""
    return difference(one, other) == 0 and one.capacity == other.capacity and one.events == other.events


def _scores(record: Record) -> list[float | None]:
    entries = [entry for row in record.accuracy or () for entry in row]
    if any(entry is not None for entry in entries):
        return entries
    return [*entries, *(entry.online_loss for entry in record.learning)]


def _apart(a: float | None, b: float | None) -> float:
    if a is None or b is None:
        return 0.0 if a is b else math.inf
    return abs(a - b)
