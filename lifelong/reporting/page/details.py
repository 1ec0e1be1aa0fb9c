"""Computes the runs of a page and the rows of its charts: most of its size, and read after the ranking is shown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from lifelong.records.record import Record
from lifelong.records.spec import Spec
from lifelong.reporting.charts.charts import COSTS
from lifelong.reporting.charts.rows import Row, costs, curves, differences, forgotten
from lifelong.reporting.charts.stream import stream
from lifelong.reporting.page.content import ranking
from lifelong.reporting.statistics.scores import Contest
from lifelong.reporting.statistics.standings import Table

DIGITS = 6
"""Significant digits of what is drawn; the tables have all digits."""


def details(
    contests: Sequence[Contest],
    tables: Sequence[Table],
    baselines: Sequence[str],
    command: Callable[[Spec], str | None],
) -> dict[str, Any]:
    """Return what the charts, the failures and the commands are made of.

    Args:
        contests: the records of a board, arranged.
        tables: their standings.
        baselines: labels of the entrants that others are compared with.
        command: tells what to type for a run.

    Returns:
        Data of JSON's types: `runs`, a mapping for each; `versions`, the list that `versions` of a run points into; and
        the rows of the charts as columns, by the name of their data set.
    """
    versions: dict[str, int] = {}
    runs = [
        {"scenario": contest.scenario, "strategy": entrant.label} | _run(record, command, versions)
        for contest in contests
        for entrant in contest.entrants
        for record in entrant.records
    ]
    orders = {table.scenario: metric for table in tables for metric in ranking([table])[:1]}
    rows = {
        "curves": curves(contests),
        "forgotten": forgotten(contests),
        "costs": [row for contest in contests for row in costs([contest], orders[contest.scenario], COSTS)],
        "differences": [
            row
            for metric in ranking(tables)
            for baseline in baselines
            for row in differences(contests, metric, baseline)
        ],
    }
    return {"runs": runs, "versions": list(versions), **{name: columns(own) for name, own in rows.items()}}


def _run(record: Record, command: Callable[[Spec], str | None], versions: dict[str, int]) -> dict[str, Any]:
    R = record.accuracy if record.ok else None
    return {
        "seed": record.spec.seed,
        "status": record.status,
        "reason": "" if record.ok else record.reason,
        "R": R and [[None if entry is None else round(entry, 4) for entry in row] for row in R],
        "stream": columns(stream(record)) if R else {},
        "key": record.key,
        "command": command(record.spec),
        "versions": versions.setdefault(_provenance(record), len(versions)),
    }


def _provenance(record: Record) -> str:
    """Where a run took place: `python 3.11.7, torch 2.15.0; commit 1ceba1b; Linux x86_64, 2 cores; cpu`."""
    where = record.provenance
    versions = ", ".join(f"{name} {version}" for name, version in where.versions.items())
    parts = [versions, f"commit {where.commit[:12]}" if where.commit else "", where.machine, where.cpu, where.device]
    return "; ".join(part for part in parts if part)


def columns(rows: Sequence[Row]) -> dict[str, list[Any]]:
    """Return rows as columns of equal length, None where a row has no such value: that takes a third of the space.

    >>> columns([{"a": 1}, {"a": 2, "b": 0.5}])
    {'a': [1, 2], 'b': [None, 0.5]}
    """
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [_brief(row.get(name)) for row in rows] for name in names}


def _brief(value: Any) -> Any:
    return float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value
