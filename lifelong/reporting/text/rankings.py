"""Rankings as text: a table for the terminal, GitHub markdown, CSV and JSON."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table as Drawing
from rich.text import Text

from lifelong.records.bounds import plain
from lifelong.records.metrics import RANKING, RUN_METRICS
from lifelong.reporting.statistics.standings import Row, Table
from lifelong.reporting.text.notes import INTERVAL, legend, notes
from lifelong.reporting.text.words import NONE, arrow, escape, heading, written

Format = Literal["md", "csv", "json"]
STYLES = {"floor": "dim", "ceiling": "dim", "reference": "dim", "control": "cyan", "contestant": ""}


def render(tables: Iterable[Table], file_format: Format, metrics: Sequence[str]) -> str:
    """The rankings in a format for files.

    Args:
        tables: from `standings`, with at least these metrics.
        file_format: `md` for GitHub markdown, rounded; `csv` and `json` in full precision.
        metrics: names of `RUN_METRICS`, in the order of the columns.
    """
    writers: dict[Format, Callable[[Sequence[Table], Sequence[str]], str]] = {
        "md": _markdown,
        "csv": _csv,
        "json": _json,
    }
    return writers[file_format](list(tables), metrics)


def print_tables(console: Console, tables: Iterable[Table], metrics: Sequence[str]) -> None:
    """Print the rankings, with the formulas that they rest on; readable from 80 columns up."""
    tables = list(tables)
    for table in tables:
        console.print(Text(plain(table.scenario), style="bold"))
        _print_rows(console, table, metrics)
        for note in notes(table, metrics):
            console.print(Text(plain(note), style="yellow"))
        console.print()
    if tables:
        console.print(Text("\n".join(legend(metrics, _overall(tables))), style="dim"))


def _print_rows(console: Console, table: Table, metrics: Sequence[str]) -> None:
    """The widest form that fits: all in a row, costs in a table of their own, intervals below means, more tables."""
    costs = [name for name in metrics if RUN_METRICS[name].is_cost]
    others = [name for name in metrics if name not in costs]
    for separator in (" ",) if costs and others else (" ", "\n"):
        drawing = _draw(table, metrics, separator, names=max(20, console.width // 3))
        if Measurement.get(console, console.options.update(width=10_000), drawing).maximum <= console.width:
            console.print(drawing)
            return
    if len(metrics) == 1:
        console.print(drawing)
        return
    half = (len(metrics) + 1) // 2
    for part in (others, costs) if costs and others else (metrics[:half], metrics[half:]):
        _print_rows(console, table, part)


def _draw(table: Table, metrics: Sequence[str], separator: str, names: int) -> Drawing:
    """One table; `separator` stands between the parts of a cell, and `names` is the most that names may take."""
    drawing = Drawing(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    columns = _columns(table, metrics, separator)
    for column in columns:
        if column.is_name:
            drawing.add_column(column.heading, overflow="fold", max_width=names)
        elif column.to_the_right:
            drawing.add_column(_stacked(column.heading), justify="right", no_wrap=True)
        else:
            drawing.add_column(column.heading if separator == " " else _stacked(column.heading), no_wrap=True)
    for row in table.rows:
        cells = [Text(column.cell(row)) for column in columns]
        cells[-1].style = "red" if row.failures else ""
        drawing.add_row(*cells, style=STYLES[row.role])
    return drawing


def _markdown(tables: Sequence[Table], metrics: Sequence[str]) -> str:
    lines = []
    for table in tables:
        columns = _columns(table, metrics)
        lines += [f"### {escape(table.scenario)}", ""]
        lines.append("| " + " | ".join(column.heading for column in columns) + " |")
        lines.append("|" + "|".join(" --- " if column.is_name else " ---: " for column in columns) + "|")
        for row in table.rows:
            cells = (escape(cell) if column.is_name else cell for column in columns for cell in [column.cell(row)])
            lines.append("| " + " | ".join(cells) + " |")
        lines += ["", *(f"**{escape(note)}**\n" for note in notes(table, metrics))]
    if tables:
        lines += [f"- {escape(line)}" for line in legend(metrics, _overall(tables))]
    return "\n".join(lines) + "\n"


def _overall(tables: Sequence[Table]) -> bool:
    return any(table.overall for table in tables)


@dataclass(frozen=True)
class _Column:
    """What stands in a column of a table for people."""

    heading: str
    cell: Callable[[Row], str]
    is_name: bool = False
    to_the_right: bool = True


def _columns(table: Table, metrics: Sequence[str], separator: str = " ") -> list[_Column]:
    """The rank, the name, the metrics, and on how many runs they rest. A second rank stands before what it is by."""
    ranking = table.ranking
    columns = [_Column("#", _rank_by(*ranking[:1])), _Column("strategy", _named, is_name=True)]
    for name in metrics:
        if name in ranking[1:]:
            columns.append(_Column("#", _rank_by(name)))
        columns.append(_metric(name, separator))
        if name in ranking[:1] and table.overall:
            columns.append(_interquartile(name, separator))
    cells = _Column("cells", lambda row: f"{row.n}/{row.planned}")
    return [*columns, cells, _Column("failed", lambda row: str(row.failures))]


def _interquartile(name: str, separator: str) -> _Column:
    def cell(row: Row) -> str:
        return written(row.interquartile, row.n, name, separator)

    return _Column(f"Interquartile mean {arrow(name)}", cell, to_the_right=RUN_METRICS[name].is_cost)


def _rank_by(metric: str = "") -> Callable[[Row], str]:
    return lambda row: NONE if row.ranks.get(metric) is None else str(row.ranks[metric])


def _metric(name: str, separator: str) -> _Column:
    def cell(row: Row) -> str:
        return written(row.metrics[name], row.n, name, separator)

    return _Column(heading(name), cell, to_the_right=RUN_METRICS[name].is_cost)


def _csv(tables: Sequence[Table], metrics: Sequence[str]) -> str:
    columns = [f"{name}_{part}" for name in (*metrics, "interquartile") for part in ("mean", "low", "high")]
    ranks = [f"{name}_rank" for name in metrics[1:RANKING]]
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    head = ["scenario", "rank", "strategy", "role", "n", "planned", "failures", *columns, *ranks]
    writer.writerow([*head, "impossible"])
    for table in tables:
        for row in table.rows:
            found = [*(row.metrics[name] for name in metrics), row.interquartile]
            values = [value for one in found for value in ((one.mean, one.low, one.high) if one else (None,) * 3)]
            values += [row.ranks.get(name) for name in metrics[1:RANKING]]
            row_head = [table.scenario, row.rank, row.strategy, row.role, row.n, row.planned, row.failures]
            writer.writerow([*row_head, *values, None])
        for reason in table.impossible:
            writer.writerow([table.scenario, *[None] * (len(head) - 1), reason])
    return file.getvalue()


def _json(tables: Sequence[Table], metrics: Sequence[str]) -> str:
    return json.dumps(as_data(tables, metrics), indent=2, allow_nan=False) + "\n"


def as_data(tables: Sequence[Table], metrics: Sequence[str]) -> dict[str, Any]:
    """The rankings as plain data, in full precision: what `--format json` writes, and a page shows."""
    described = {
        name: {
            "title": RUN_METRICS[name].title,
            "formula": RUN_METRICS[name].formula,
            "higher_is_better": RUN_METRICS[name].higher_is_better,
        }
        for name in metrics
    }
    return {"interval": INTERVAL, "metrics": described, "tables": [_table_as_data(table, metrics) for table in tables]}


def _table_as_data(table: Table, metrics: Sequence[str]) -> dict[str, Any]:
    return {
        "scenario": table.scenario,
        "rows": [
            {"rank": row.rank} | asdict(row) | {"metrics": {name: asdict(row.metrics[name]) for name in metrics}}
            for row in table.rows
        ],
        "impossible": list(table.impossible),
    }


def _stacked(heading: str) -> str:
    """One word below the other, with the arrow beside the last."""
    title, space, arrow = heading.rpartition(" ")
    return title.replace(" ", "\n") + space + arrow


def _named(row: Row) -> str:
    """The strategy, and what it is there for unless it competes."""
    name = plain(row.strategy)
    return name if row.role == "contestant" else f"{name} ({row.role})"
