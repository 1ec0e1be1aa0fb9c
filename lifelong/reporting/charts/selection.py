"""Chooses whose lines a chart draws until somebody does."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from lifelong.reporting.statistics.standings import Row

SHOWN = 6
"""Strategies whose lines are drawn at first, beside floor and ceiling: more than eight lines are hard to tell apart."""

BOUNDS = ("floor", "ceiling")


def shown(rows: Sequence[Row]) -> list[str]:
    """Return the labels whose lines are drawn at first, in the order of the ranking; doubles only if there is room."""
    bounds = [row for row in rows if row.role in BOUNDS]
    others = [row for row in rows if row.role not in (*BOUNDS, "reference")]
    doubles = _doubles([*bounds, *others])
    best = sorted(others, key=lambda row: row.strategy in doubles)[:SHOWN]
    drawn = {row.strategy for row in (*bounds, *best)}
    return [row.strategy for row in rows if row.strategy in drawn]


def _doubles(rows: Iterable[Row]) -> set[str]:
    """The entrants with exactly the results of an earlier one, over several seeds: one line would hide the other."""
    seen, doubles = set(), set()
    for row in rows:
        results = tuple(row.metrics[name] for name in row.ranks)
        if results in seen:
            doubles.add(row.strategy)
        elif all(result.low is not None for result in results):
            seen.add(results)
    return doubles
