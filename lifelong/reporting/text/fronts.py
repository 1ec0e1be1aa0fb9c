"""Pareto fronts: who is worth its cost, and whom others beat in every respect."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lifelong.records.metrics import RUN_METRICS
from lifelong.reporting.statistics.pareto import Point
from lifelong.reporting.text.numbers import write
from lifelong.reporting.text.table import Column, Report, Row, Table, item
from lifelong.reporting.text.words import heading

HOW = (
    "Means are compared: who is dominated by little may be as good, see the intervals. Ceilings and references keep "
    "the data that a stream takes away, and dominate nobody. cells: runs that are ok, of those planned."
)
FEW = "This rests on few seeds (see cells): who dominates may do so by chance."


def front_report(fronts: Mapping[str, Sequence[Point]], metrics: Sequence[str]) -> Report:
    """Tell by scenario who is on the Pareto front, then who is dominated, and by whom."""
    columns = [
        Column("strategy", "name"),
        *(Column(heading(name), right=True) for name in metrics),
        Column("cells", right=True),
        Column("dominated by", "text"),
    ]
    few = not all(point.row.enough for points in fronts.values() for point in points)
    return Report(
        tables=[
            Table(columns, [_row(point, metrics) for point in _front_first(points)], f"{scenario}: Pareto front")
            for scenario, points in fronts.items()
        ],
        warnings=[FEW] if few else (),
        notes=[item(HOW)],
        data=lambda: {
            scenario: [
                _values(point, metrics, role=point.row.role) | {"dominated_by": list(point.dominated_by)}
                for point in points
            ]
            for scenario, points in fronts.items()
        },
        fields=["scenario", "strategy", *metrics, "n", "planned", "front", "dominated_by"],
        values=lambda: (
            _values(point, metrics, scenario=scenario) | {"dominated_by": "; ".join(point.dominated_by)}
            for scenario, points in fronts.items()
            for point in points
        ),
    )


def _front_first(points: Sequence[Point]) -> list[Point]:
    """Those on the front by the last metric, which is paid for the first; then the others in the table's order."""
    ahead = sorted((point for point in points if point.ahead), key=lambda point: point.values[-1])
    return ahead + [point for point in points if not point.ahead]


def _row(point: Point, metrics: Sequence[str]) -> Row:
    values = [write(value, RUN_METRICS[name].quantity) for name, value in zip(metrics, point.values, strict=True)]
    more = f" and {len(point.dominated_by) - 1} more" if len(point.dominated_by) > 1 else ""
    why = "".join(point.dominated_by[:1]) + more if point.rival else f"({point.row.role})"
    return Row([point.row.strategy, *values, f"{point.row.n}/{point.row.planned}", why], "" if point.ahead else "dim")


def _values(point: Point, metrics: Sequence[str], **more: str) -> dict[str, Any]:
    return {
        "strategy": point.row.strategy,
        **dict(zip(metrics, point.values, strict=True)),
        **more,
        "n": point.row.n,
        "planned": point.row.planned,
        "front": point.ahead,
    }
