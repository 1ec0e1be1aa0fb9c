"""What a reader of a ranking has to know: what its numbers are, and how far its ranks can be trusted."""

from __future__ import annotations

from collections.abc import Sequence

from lifelong.records.metrics import RANKING, RUN_METRICS
from lifelong.reporting.statistics.standings import Table
from lifelong.reporting.text.words import heading

INTERVAL = "95 % bootstrap interval over seeds"
FAILED = "†"
"""What stands beside a rank that rests on a part of the runs, because others have failed."""
OVERALL = (
    "On all scenarios: the mean of the scenarios' means; interquartile mean: of the middle half of all runs. Seeds are "
    "resampled within scenarios."
)


def notes(table: Table, metrics: Sequence[str]) -> list[str]:
    """Return what a reader has to know before trusting the ranks, a sentence each."""
    return [
        *_other_ranking(table, metrics),
        *_few_seeds(table),
        *_failed(table),
        *_incomplete(table),
        *_impossible(table),
    ]


def _other_ranking(table: Table, metrics: Sequence[str]) -> list[str]:
    first = table.ranking[0] if table.rows else metrics[0]
    if first == metrics[0]:
        return []
    wanted, instead = (RUN_METRICS[name].title.lower() for name in (metrics[0], first))
    return [f"There is no {wanted} here: ranked by {instead}."]


def _few_seeds(table: Table) -> list[str]:
    ranked = [row for row in table.rows if row.rank is not None]
    if not ranked or all(row.enough for row in ranked):
        return []
    if all(row.metrics[table.ranking[0]].low is None for row in ranked):
        return ["This ranking rests on one seed: there is no interval, and differences may be chance."]
    if any(row.enough for row in ranked):
        return ["Some rows rest on few seeds (see cells): their intervals are too narrow, their ranks rough."]
    return ["This ranking rests on few seeds (see cells): intervals are too narrow, and ranks rough."]


def _failed(table: Table) -> list[str]:
    if not any(row.failures and row.rank is not None for row in table.rows):
        return []
    return [f"{FAILED} Some of its runs have failed: its rank and its numbers rest on the others alone."]


def _incomplete(table: Table) -> list[str]:
    if not table.overall or all(row.rank is not None for row in table.rows):
        return []
    return ["Who is not on every scenario has no mean and no rank here: a mean over fewer is another number."]


def _impossible(table: Table) -> list[str]:
    return [f"Impossible: {'; '.join(table.impossible)}."] if table.impossible else []


def legend(metrics: Sequence[str], overall: bool) -> list[str]:
    """Return what the columns are, a line each.

    Args:
        metrics: names of `RUN_METRICS`, in the order of the columns.
        overall: whether there is a table of all scenarios together.
    """
    formulas = [f"{heading(name)}: {RUN_METRICS[name].formula}" for name in metrics]
    first, *second = (RUN_METRICS[name].title.lower() for name in metrics[:RANKING])
    return [
        *formulas,
        f"In brackets: {INTERVAL} (expanded percentile). cells: runs that are ok, of those planned.",
        f"Ranked by {first}" + "".join(f"; the second # ranks by {name}" for name in second) + ". A rank is one more "
        "than how many are better by a paired difference whose interval excludes zero.",
        *([OVERALL] if overall else []),
    ]
