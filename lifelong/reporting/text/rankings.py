"""Rankings: a table for each scenario, with a row for each entrant."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from lifelong.records.bounds import plain
from lifelong.records.metrics import RANKING, RUN_METRICS
from lifelong.reporting.statistics.standings import Row as Standing
from lifelong.reporting.statistics.standings import Table as Ranking
from lifelong.reporting.text.notes import FAILED, INTERVAL, legend, notes
from lifelong.reporting.text.table import NONE, Cell, Column, Report, Row, Table
from lifelong.reporting.text.words import arrow, heading, written

STYLES = {"floor": "dim", "ceiling": "dim", "reference": "dim", "control": "cyan", "contestant": ""}
PARTS = ("mean", "low", "high")


def ranking_report(rankings: Sequence[Ranking], metrics: Sequence[str]) -> Report:
    """Tell rankings, and the formulas that they rest on.

    Args:
        rankings: from `standings`, with at least these metrics.
        metrics: names of `RUN_METRICS`, in the order of the columns.
    """
    return Report(
        tables=[_table(ranking, metrics) for ranking in rankings],
        notes=legend(metrics, any(ranking.overall for ranking in rankings)) if rankings else (),
        data=lambda: as_data(rankings, metrics),
        fields=_fields(metrics),
        values=lambda: (row for ranking in rankings for row in _values(ranking, metrics)),
    )


def _table(ranking: Ranking, metrics: Sequence[str]) -> Table:
    """The rank, the name, the metrics, and on how many runs they rest. A second rank stands before what it is by."""
    columns = [Column("#", right=True), Column("strategy", "name")]
    contents: list[Sequence[str]] = [_ranks(ranking, 0), _names(ranking)]

    def add(title: str, cells: Sequence[str], metric: str) -> None:
        part = ("costs" if RUN_METRICS[metric].is_cost else "results", metric)
        columns.append(Column(title, right=True, part=part))
        contents.append(cells)

    for name in metrics:
        if name in ranking.ranking[1:]:
            add("#", _ranks(ranking, ranking.ranking.index(name)), name)
        means = [written(row.metrics[name], row.n, name) for row in ranking.rows]
        add(heading(name).replace(" ", "\n", heading(name).count(" ") - 1), means, name)
        if name in ranking.ranking[:1] and ranking.overall:
            middles = [written(row.interquartile, row.n, name) for row in ranking.rows]
            add(f"Interquartile\nmean {arrow(name)}", middles, name)
    columns += [Column("cells", right=True), Column("failed", right=True)]
    contents.append([f"{row.n}/{row.planned}" for row in ranking.rows])
    failures = [Cell(str(row.failures), "red" if row.failures else "") for row in ranking.rows]
    cells = zip(*contents, failures, strict=True)
    rows = [Row(own, STYLES[row.role]) for row, own in zip(ranking.rows, cells, strict=True)]
    return Table(columns, rows, ranking.scenario, notes(ranking, metrics))


def _ranks(ranking: Ranking, place: int) -> list[str]:
    """Return the ranks; one that rests on the runs that did not fail has a mark."""
    ranks = [(list(row.ranks.values())[place], row.failures) for row in ranking.rows]
    return [NONE if rank is None else f"{rank}{FAILED if failures else ''}" for rank, failures in ranks]


def _names(ranking: Ranking) -> list[str]:
    """The entrants, and what those are there for that do not compete."""
    return [
        plain(row.strategy) if row.role == "contestant" else f"{plain(row.strategy)} ({row.role})"
        for row in ranking.rows
    ]


def _fields(metrics: Sequence[str]) -> list[str]:
    head = ["scenario", "rank", "strategy", "role", "n", "planned", "failures"]
    intervals = [f"{name}_{part}" for name in (*metrics, "interquartile") for part in PARTS]
    return [*head, *intervals, *(f"{name}_rank" for name in metrics[1:RANKING]), "impossible"]


def _values(ranking: Ranking, metrics: Sequence[str]) -> Iterator[dict[str, Any]]:
    """A row for each entrant, and one for each that cannot take part, with the reason."""
    for row in ranking.rows:
        intervals = {name: row.metrics[name] for name in metrics} | {"interquartile": row.interquartile}
        yield {
            **{name: getattr(row, name) for name in ("rank", "strategy", "role", "n", "planned", "failures")},
            **{f"{name}_{part}": getattr(one, part, None) for name, one in intervals.items() for part in PARTS},
            **{f"{name}_rank": row.ranks.get(name) for name in metrics[1:RANKING]},
            "scenario": ranking.scenario,
        }
    for reason in ranking.impossible:
        yield {"scenario": ranking.scenario, "impossible": reason}


def as_data(rankings: Sequence[Ranking], metrics: Sequence[str]) -> dict[str, Any]:
    """Return rankings as plain data, in full precision: what `--format json` writes, and a page shows."""
    described = {
        name: {
            "title": RUN_METRICS[name].title,
            "formula": RUN_METRICS[name].formula,
            "higher_is_better": RUN_METRICS[name].higher_is_better,
        }
        for name in metrics
    }
    tables = [
        {
            "scenario": ranking.scenario,
            "rows": [_row_as_data(row, metrics) for row in ranking.rows],
            "impossible": list(ranking.impossible),
        }
        for ranking in rankings
    ]
    return {"interval": INTERVAL, "metrics": described, "tables": tables}


def _row_as_data(row: Standing, metrics: Sequence[str]) -> dict[str, Any]:
    return {"rank": row.rank} | asdict(row) | {"metrics": {name: asdict(row.metrics[name]) for name in metrics}}
