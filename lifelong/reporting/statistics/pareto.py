"""Finds who is worth its cost: the entrants that no other one beats in every respect."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from lifelong.records.metrics import RUN_METRICS
from lifelong.reporting.statistics.standings import Row, Table


@dataclass(frozen=True)
class Point:
    """An entrant, with its means in the metrics of a Pareto front."""

    row: Row
    values: tuple[float, ...]
    dominated_by: tuple[str, ...]
    """The rivals that are at least as good in each metric and better in one, in the table's order."""

    @property
    def rival(self) -> bool:
        """Whether it competes: ceilings and references keep the data that a stream takes away."""
        return self.row.role not in ("ceiling", "reference")

    @property
    def ahead(self) -> bool:
        """Whether it is on the front."""
        return self.rival and not self.dominated_by


def front(table: Table, metrics: Sequence[str]) -> list[Point]:
    """Return the rows of a table that have all of these metrics, in its order, each with who dominates it.

    Means are compared, not intervals: an entrant that is dominated by a hair may be as good.

    Args:
        table: from `standings`, with these metrics.
        metrics: names of `RUN_METRICS`, two or more.
    """
    signs = [1 if RUN_METRICS[name].higher_is_better else -1 for name in metrics]
    means = [(row, tuple(row.metrics[name].mean for name in metrics)) for row in table.rows]
    points = [Point(row, tuple(v for v in own if v is not None), ()) for row, own in means if None not in own]

    def dominates(one: Point, other: Point) -> bool:
        pairs = [(sign * a, sign * b) for sign, a, b in zip(signs, one.values, other.values, strict=True)]
        return one.values != other.values and all(a >= b for a, b in pairs)

    rivals = [point for point in points if point.rival]
    return [
        replace(point, dominated_by=tuple(rival.row.strategy for rival in rivals if dominates(rival, point)))
        for point in points
    ]
