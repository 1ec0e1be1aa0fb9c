"""Pareto fronts as text: for the terminal, markdown, CSV and JSON."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence

from rich import box
from rich.console import Console
from rich.table import Table as Drawing
from rich.text import Text

from lifelong.records.bounds import plain
from lifelong.records.metrics import RUN_METRICS
from lifelong.reporting.statistics.pareto import Point
from lifelong.reporting.text.numbers import write
from lifelong.reporting.text.rankings import Format
from lifelong.reporting.text.words import escape, heading

HOW = (
    "Means are compared: who is dominated by little may be as good, see the intervals. Ceilings and references keep "
    "the data that a stream takes away, and dominate nobody. cells: runs that are ok, of those planned."
)
FEW = "This rests on few seeds (see cells): who dominates may do so by chance."


def print_front(console: Console, fronts: Mapping[str, Sequence[Point]], metrics: Sequence[str]) -> None:
    """Print who is on the Pareto front of each scenario, then who is dominated, and by whom."""
    for scenario, points in fronts.items():
        console.print(Text(f"{plain(scenario)}: Pareto front", style="bold"))
        drawing = Drawing(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
        drawing.add_column("strategy", overflow="fold")
        for name in metrics:
            drawing.add_column(heading(name), justify="right")
        drawing.add_column("cells", justify="right", no_wrap=True)
        drawing.add_column("dominated by", overflow="fold")
        for point in _front_first(points):
            cells = _front_cells(point, metrics)
            drawing.add_row(*map(Text, map(plain, cells)), style="" if point.ahead else "dim")
        console.print(drawing)
    if _rests_on_few(fronts):
        console.print(Text(FEW, style="yellow"))
    console.print(Text(HOW, style="dim"))


def render_front(fronts: Mapping[str, Sequence[Point]], metrics: Sequence[str], file_format: Format) -> str:
    """Pareto fronts in a format for files; CSV and JSON name everyone who dominates."""
    if file_format == "json":
        content = {
            scenario: [
                {
                    "strategy": point.row.strategy,
                    **dict(zip(metrics, point.values, strict=True)),
                    "role": point.row.role,
                    "n": point.row.n,
                    "planned": point.row.planned,
                    "front": point.ahead,
                    "dominated_by": list(point.dominated_by),
                }
                for point in points
            ]
            for scenario, points in fronts.items()
        }
        return json.dumps(content, indent=2, allow_nan=False) + "\n"
    if file_format == "csv":
        file = io.StringIO()
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["scenario", "strategy", *metrics, "n", "planned", "front", "dominated_by"])
        for scenario, points in fronts.items():
            for point in points:
                dominators = "; ".join(point.dominated_by)
                row = point.row
                writer.writerow([scenario, row.strategy, *point.values, row.n, row.planned, point.ahead, dominators])
        return file.getvalue()
    lines = []
    for scenario, points in fronts.items():
        heads = ["strategy", *map(heading, metrics), "cells", "dominated by"]
        lines += [f"### {escape(scenario)}: Pareto front", "", "| " + " | ".join(heads) + " |"]
        lines.append("| --- |" + " ---: |" * (len(metrics) + 1) + " --- |")
        lines += ["| " + " | ".join(map(escape, _front_cells(p, metrics))) + " |" for p in _front_first(points)]
        lines.append("")
    if _rests_on_few(fronts):
        lines += [f"**{FEW}**", ""]
    return "\n".join([*lines, f"- {HOW}"]) + "\n"


def _rests_on_few(fronts: Mapping[str, Sequence[Point]]) -> bool:
    return not all(point.row.enough for points in fronts.values() for point in points)


def _front_first(points: Sequence[Point]) -> list[Point]:
    """Those on the front by the last metric, as what is paid for the first; then the others in the table's order."""
    ahead = sorted((point for point in points if point.ahead), key=lambda point: point.values[-1])
    return ahead + [point for point in points if not point.ahead]


def _front_cells(point: Point, metrics: Sequence[str]) -> list[str]:
    values = [write(value, RUN_METRICS[name].quantity) for name, value in zip(metrics, point.values, strict=True)]
    more = f" and {len(point.dominated_by) - 1} more" if len(point.dominated_by) > 1 else ""
    why = "".join(point.dominated_by[:1]) + more if point.rival else f"({point.row.role})"
    return [point.row.strategy, *values, f"{point.row.n}/{point.row.planned}", why]


__all__ = ["print_front", "render_front"]
