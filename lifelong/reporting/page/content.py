"""Computes what a page shows, as plain data; the browser only selects, sorts and draws."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from lifelong.boards.board import Board
from lifelong.records.metrics import RUN_METRICS
from lifelong.registry import strategies
from lifelong.reporting.charts.charts import CHARTS
from lifelong.reporting.charts.selection import shown
from lifelong.reporting.charts.themes import config
from lifelong.reporting.statistics.reproduction import TargetOutcome, summary
from lifelong.reporting.statistics.scores import Contest
from lifelong.reporting.statistics.standings import Row, Table
from lifelong.reporting.text.notes import notes
from lifelong.reporting.text.rankings import as_data
from lifelong.reporting.text.reproduction import HEADINGS, RULE, cells_of, remarks
from lifelong.reporting.text.words import written

BASELINES = 16
"""The most entrants that others are compared with: each of them is compared with all others."""

OWN = "own"
"""The kind of a strategy that is not installed."""

FORMULAS = {
    "matrix": "R[i, j]: accuracy on the test set of experience j after training on i experiences, counted from one; "
    "row 0 is the untrained network",
    "forgotten": "Forgotten of experience j: max_{1 <= i < T} R[i, j] - R[T, j]",
    "stream": "Average accuracy after experience i: mean_{j <= i} R[i, j]",
    "curves": "Average accuracy so far, after experience i: mean_{j <= i} R[i, j]",
}
"""The formulas of charts that show no metric."""


def content(
    name: str,
    board: Board,
    contests: Sequence[Contest],
    tables: Sequence[Table],
    metrics: Sequence[str],
    outcomes: Sequence[TargetOutcome] = (),
    origin: str = "",
) -> Any:
    """Return what the page begins with: all but the runs and the rows of the charts.

    Args:
        name: of the board, as the user wrote it.
        board: that board.
        contests: its records, arranged.
        tables: their standings, one at least.
        metrics: names of `RUN_METRICS`: the columns of the tables, of which the first two rank.
        outcomes: of the board's targets.
        origin: whose records they are, in a few words; empty for one's own.

    Returns:
        JSON's types.
    """
    first = opening(tables)
    kinds = {entrant.label: _kind(entrant.strategy) for contest in contests for entrant in contest.entrants}
    return {
        "board": name,
        "title": board.title or board.name,
        "description": " ".join(board.description.split()),
        "facts": [*_facts(contests), *([origin] if origin else [])],
        **as_data(tables, metrics),
        "texts": [[_texts(row, metrics) for row in table.rows] for table in tables],
        "notes": [notes(table, metrics) for table in tables],
        "kinds": kinds,
        "scenarios": [contest.scenario for contest in contests],
        "seeds": _seeds(contests),
        "opening": first.scenario,
        "shown": shown(first.rows),
        "baselines": baselines(first.rows, kinds),
        "ranking": ranking([first, *tables]),
        "published": _published(outcomes),
        "sections": _sections(),
        "formulas": FORMULAS | {name: f"{metric.title}: {metric.formula}" for name, metric in RUN_METRICS.items()},
        "themes": {"light": config("light"), "dark": config("dark")},
    }


def opening(tables: Sequence[Table]) -> Table:
    """Return the table that is shown until somebody chooses: the first that has results, if any has."""
    return next((table for table in tables if any(row.n for row in table.rows)), tables[0])


def ranking(tables: Iterable[Table]) -> list[str]:
    """Return the metrics that rank on any scenario."""
    return list(dict.fromkeys(metric for table in tables for metric in table.ranking))


def baselines(rows: Sequence[Row], kinds: Mapping[str, str]) -> list[str]:
    """Return whom others are compared with: floor, ceiling, reference, controls and the user's own, then the best."""
    ordered = sorted(rows, key=lambda row: row.role == "contestant" and kinds[row.strategy] != OWN)
    return [row.strategy for row in ordered[:BASELINES]]


def _kind(strategy: str) -> str:
    """Return the family of a strategy: the folder or file of strategies/ that it stands in, or its package."""
    entry = strategies.all().get(strategy)
    return entry.family if entry else OWN


def _seeds(contests: Sequence[Contest]) -> list[int]:
    entrants = (entrant for contest in contests for entrant in contest.entrants)
    return sorted({record.spec.seed for entrant in entrants for record in entrant.records})


def _facts(contests: Sequence[Contest]) -> list[str]:
    """How much the page rests on: `690 runs`, `46 strategies`, `3 scenarios`, `5 seeds`."""
    entrants = [entrant for contest in contests for entrant in contest.entrants]
    counts = {
        ("run", "runs"): sum(len(entrant.records) for entrant in entrants),
        ("strategy", "strategies"): len({entrant.label for entrant in entrants}),
        ("scenario", "scenarios"): len(contests),
        ("seed", "seeds"): len(_seeds(contests)),
    }
    return [f"{count:,} {names[count != 1]}" for names, count in counts.items()]


def _texts(row: Row, metrics: Sequence[str]) -> dict[str, list[str]]:
    """Each number of a row as a person reads it: the mean, its interval, and how many runs have it if not all."""
    texts = {name: written(row.metrics[name], row.n, name).split("\n") for name in metrics}
    if row.interquartile:
        texts["interquartile"] = written(row.interquartile, row.n, next(iter(row.ranks))).split("\n")
    return texts


def _published(outcomes: Sequence[TargetOutcome]) -> dict[str, Any] | None:
    """Published numbers beside ours, as text; None where the board has none."""
    if not outcomes:
        return None
    return {
        "summary": summary(outcomes),
        "headings": [*HEADINGS, "source"],
        "rows": [[*cells_of(one), one.target.source] for one in outcomes],
        "remarks": remarks(outcomes),
        "rule": RULE,
    }


def _sections() -> dict[str, list[dict[str, Any]]]:
    """The charts, by the data set that they are drawn of."""
    sections: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for chart in CHARTS.values():
        told = {"name": chart.name, "title": chart.title, "reading": chart.reading, "spec": chart.spec()}
        sections[chart.dataset].append(told)
    return sections
