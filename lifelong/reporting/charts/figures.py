"""Writes a board's charts as files for papers: SVG and PNG, and the same numbers as CSV beside them."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import vl_convert

from lifelong.errors import UsageError
from lifelong.records.record import Record, why
from lifelong.records.store import write_whole
from lifelong.reporting.charts.charts import CHARTS, COSTS, Chart
from lifelong.reporting.charts.rows import Row, chosen, costs, curves, differences, forgotten, matrix
from lifelong.reporting.charts.selection import shown
from lifelong.reporting.charts.stream import stream
from lifelong.reporting.charts.themes import BACKGROUND, config
from lifelong.reporting.statistics.scores import Contest, Entrant
from lifelong.reporting.statistics.standings import Table, standings

WIDTH = 560
"""The width of a figure in points: a little wider than a page's text, in which its words then have about 9 points."""

PIXELS = 2
"""Pixels of a PNG for each point."""


@dataclass(frozen=True)
class Figure:
    """A chart, and the rows that it draws."""

    name: str
    """The name of its files, without a suffix."""
    chart: Chart
    rows: Sequence[Row]

    def files(self) -> dict[str, bytes]:
        """Return the contents of its files by their names."""
        spec = self.chart.spec() | {
            "datasets": {self.chart.dataset: list(self.rows)},
            "config": config("light") | {"background": BACKGROUND["light"]},
            "width": WIDTH,
            "autosize": {"type": "fit-x", "contains": "padding"},
            "padding": 10,
        }
        svg: str = vl_convert.vegalite_to_svg(spec)
        png: bytes = vl_convert.svg_to_png(svg, scale=PIXELS)
        return {f"{self.name}.svg": svg.encode(), f"{self.name}.png": png, f"{self.name}.csv": _csv(self.rows).encode()}


def write_figures(board: str, contests: Sequence[Contest], metrics: Sequence[str], folder: Path) -> Iterator[Path]:
    """Write every figure that has something to draw, and yield each file.

    Args:
        board: the board's name.
        contests: its records, arranged.
        metrics: names of `RUN_METRICS`, of which the first two rank.
        folder: where to write; it is made if it is missing.

    Raises:
        UsageError: if a file cannot be written.
    """
    for figure in figures(board, contests, metrics):
        for name, content in figure.files().items():
            path = folder / name
            try:
                write_whole(path, content)
            except OSError as error:
                raise UsageError(f"cannot write {path}: {why(error)}; choose another with -o") from None
            yield path


def figures(board: str, contests: Sequence[Contest], metrics: Sequence[str]) -> Iterator[Figure]:
    """Yield each chart of each scenario, and the differences on all; of single runs those of the best contestants."""
    tables = [standings([contest], metrics)[0] for contest in contests]
    for contest, table in zip(contests, tables, strict=True):
        lines = chosen(contest, _drawn(table))
        data = {
            "curves": curves([lines]),
            "forgotten": forgotten([lines]),
            "costs": costs([contest], table.ranking[0], COSTS),
        }
        for chart in CHARTS.values():
            yield from _figure(chart, data.get(chart.dataset, []), board, contest.scenario)
        yield from _of_runs(board, contest, table)
    ranking = dict.fromkeys(metric for table in tables for metric in table.ranking)
    floors = [row.strategy for table in tables for row in table.rows if row.role == "floor"]
    for metric, floor in product(ranking, floors[:1]):
        compared = differences(contests, metric, floor)
        for scenario in dict.fromkeys(row["scenario"] for row in compared):
            rows = [row for row in compared if row["scenario"] == scenario]
            yield from _figure(CHARTS["differences"], rows, board, scenario, metric)


def _drawn(table: Table) -> list[str]:
    """The entrants whose lines are drawn; ceilings last: they have no forgetting, and colours agree in all charts."""
    ceilings = {row.strategy for row in table.rows if row.role == "ceiling"}
    return sorted(shown(table.rows), key=ceilings.__contains__)


def _of_runs(board: str, contest: Contest, table: Table) -> Iterator[Figure]:
    """The matrix of the best contestant, and the stream of the best that changed its structure; of their first seed."""
    best = chosen(contest, [row.strategy for row in table.rows if row.role == "contestant"]).entrants
    ran = [entrant for entrant in best if entrant.matrices]
    changed = [entrant for entrant in ran if _first(entrant).events]
    for name, entrants in (("matrix", ran[:1]), ("stream", changed[:1])):
        for entrant in entrants:
            record = _first(entrant)
            rows = stream(record) if name == "stream" else matrix(entrant.matrices[record.spec.seed])
            yield from _figure(CHARTS[name], rows, board, contest.scenario, entrant.label, f"seed {record.spec.seed}")


def _first(entrant: Entrant) -> Record:
    """The record of the first run that is ok."""
    return next(record for record in entrant.records if record.spec.seed in entrant.matrices)


def _figure(chart: Chart, rows: Iterable[Row], board: str, scenario: str, *more: str) -> Iterator[Figure]:
    """Yield the figure, or nothing where there is nothing to draw."""
    if own := chart.own(rows):
        yield Figure("-".join(_in_a_path(part) for part in (board, scenario, chart.name, *more)), chart, own)


def _in_a_path(name: str) -> str:
    return re.sub(r"[^\w.]+", "-", name).strip("-.")


def _csv(rows: Sequence[Row]) -> str:
    """The rows in full precision."""
    file = io.StringIO()
    writer = csv.DictWriter(file, list(dict.fromkeys(name for row in rows for name in row)), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue()
