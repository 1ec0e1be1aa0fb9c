"""The runs of a page, and the rows that its charts are drawn of: most of its size, and read once the ranking stands."""

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
"""That count, in what is drawn; the tables have all."""


def details(
    contests: Sequence[Contest],
    tables: Sequence[Table],
    baselines: Sequence[str],
    command: Callable[[Spec], str | None],
) -> dict[str, Any]:
    """What the charts, the failures and the commands are made of.

    Args:
        contests: the records of a board, arranged.
        tables: their standings.
        baselines: labels of entrants, from whom differences are told.
        command: what to type for a run.

    Returns:
        JSON's types: `runs`, one mapping each; `versions`, to which these point; and by the name of their data set the
        rows of the charts, as columns.
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
    return {"runs": runs, "versions": list(versions), **{name: columns(found) for name, found in rows.items()}}


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
    """`python 3.11.7, torch 2.15.0; commit 1ceba1b; Linux x86_64, 2 cores; cpu`."""
    found = record.provenance
    versions = ", ".join(f"{name} {version}" for name, version in found.versions.items())
    parts = [versions, f"commit {found.commit[:12]}" if found.commit else "", found.machine, found.cpu, found.device]
    return "; ".join(part for part in parts if part)


def columns(rows: Sequence[Row]) -> dict[str, list[Any]]:
    """Rows as columns of equal length, None where a row has no such value: a third of the size."""
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [_brief(row.get(name)) for row in rows] for name in names}


def _brief(value: Any) -> Any:
    return float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value
