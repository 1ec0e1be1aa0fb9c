"""From scores to rankings: for each scenario, and for all together, a row for each strategy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lifelong.contracts import Role
from lifelong.errors import unknown
from lifelong.records.metrics import RANKING, RUN_METRICS, RunMetric
from lifelong.reporting.statistics.bootstrap import Interval, Values, counts, enough, interquartile_mean, mean_intervals
from lifelong.reporting.statistics.comparison import ALL, superiority
from lifelong.reporting.statistics.scores import ABSENT, Contest, Entrant


@dataclass(frozen=True)
class Row:
    """One strategy, with one setting of its parameters."""

    ranks: dict[str, int | None]
    """By the metrics that rank, the table's own first: one more than how many are better, by an interval of the paired
    difference that excludes zero. Who cannot be told apart may share a rank. None where a value is missing."""
    strategy: str
    role: Role
    n: int
    """The runs that are ok."""
    planned: int
    """The runs that the board plans; on all scenarios also those that are impossible."""
    failures: int
    enough: bool
    """Whether there are seeds enough for its intervals to be trusted."""
    metrics: dict[str, Interval]
    """The mean over seeds, on all scenarios the mean of their means; none where a scenario is missing."""
    interquartile: Interval | None = None
    """Of the first metric, over the runs of all scenarios; None in the table of one."""

    @property
    def rank(self) -> int | None:
        """The one that orders the table."""
        return next(iter(self.ranks.values()))


@dataclass(frozen=True)
class Table:
    """The ranking on one scenario, under one budget and model, or on all."""

    scenario: str
    rows: tuple[Row, ...]
    impossible: tuple[str, ...] = ()
    """Who cannot take part, with the reason."""

    @property
    def ranking(self) -> list[str]:
        """The metrics that rank; none in a table without rows."""
        return list(self.rows[0].ranks) if self.rows else []

    @property
    def overall(self) -> bool:
        """Whether it is of all scenarios together."""
        return any(row.interquartile is not None for row in self.rows)


def standings(contests: Sequence[Contest], metrics: Sequence[str]) -> list[Table]:
    """The rankings: on all scenarios together first, where there are several and the first metric exists on each of
    them, then on each.

    Args:
        contests: of one board.
        metrics: names of `RUN_METRICS`, at least one. The first two that exist rank, the first orders.

    Raises:
        UsageError: if there is no metric of such a name.
    """
    for name in metrics:
        if name not in RUN_METRICS:
            raise unknown("metric", name, RUN_METRICS)
    tables = [_table([contest], metrics, contest.scenario, contest.impossible) for contest in contests]
    if len(contests) > 1:
        overall = _table(contests, metrics, ALL)
        if any(row.ranks.get(metrics[0]) is not None for row in overall.rows):
            tables.insert(0, overall)
    return tables


def _table(contests: Sequence[Contest], metrics: Sequence[str], title: str, impossible: tuple[str, ...] = ()) -> Table:
    """One ranking; several contests are the strata of one."""
    choices = {entrant.identity: entrant for contest in contests for entrant in contest.entrants}
    field = sorted(choices, key=lambda key: (choices[key].label, key))
    columns = [_columns(contest, field) for contest in contests]
    strata = {name: [c.values_of(at, name) for c, at in zip(contests, columns, strict=True)] for name in metrics}
    means = {name: mean_intervals(values) for name, values in strata.items()}
    ranking = _ranking({name: bool((~np.isnan(found.mean)).any()) for name, found in means.items()})
    ranks = {metric.name: _ranks(strata[metric.name], metric) for metric in ranking}
    first, overall = ranking[0], len(contests) > 1
    rows = []
    for k, key in enumerate(field):
        own = [_entrant(contest, at[k]) for contest, at in zip(contests, columns, strict=True)]
        rows.append(
            Row(
                ranks={name: found[k] for name, found in ranks.items()},
                strategy=choices[key].label,
                role=choices[key].role,
                n=sum(len(entrant.matrices) for entrant in own if entrant),
                planned=sum(map(_planned, contests, own)),
                failures=sum(len(entrant.records) - len(entrant.matrices) for entrant in own if entrant),
                enough=enough([len(entrant.matrices) if entrant else 0 for entrant in own]),
                metrics={name: found[k] for name, found in means.items()},
                interquartile=interquartile_mean([_seen(v[:, k]) for v in strata[first.name]]) if overall else None,
            )
        )
    return Table(title, tuple(sorted(rows, key=lambda row: _order(row, first))), impossible)


def _columns(contest: Contest, field: Sequence[str]) -> list[int]:
    """Where each of the field stands among the entrants."""
    at = {entrant.identity: column for column, entrant in enumerate(contest.entrants)}
    return [at.get(key, ABSENT) for key in field]


def _seen(values: Values) -> Values:
    return values[~np.isnan(values)]


def _entrant(contest: Contest, column: int) -> Entrant | None:
    return None if column == ABSENT else contest.entrants[column]


def _planned(contest: Contest, entrant: Entrant | None) -> int:
    """Of an entrant; for who does not take part, as many as for who does."""
    return entrant.planned if entrant else max((one.planned for one in contest.entrants), default=0)


def _ranking(there_is: dict[str, bool]) -> list[RunMetric]:
    """The first two that some row has, costs only where they come first; on a stream without classes not accuracy."""
    metrics = list(there_is)
    there = [name for name in metrics if there_is[name]] or metrics
    first = [RUN_METRICS[name] for name in there[:RANKING]]
    return [metric for metric in first if not metric.is_cost or metric.name in metrics[:RANKING]] or first


def _ranks(strata: Sequence[Values], metric: RunMetric) -> list[int | None]:
    better = superiority(strata, metric.higher_is_better)
    complete = np.all(counts(strata), axis=0)
    return [
        int(count) + 1 if there else None for count, there in zip(better[complete].sum(axis=0), complete, strict=True)
    ]


def _order(row: Row, metric: RunMetric) -> tuple[bool, int, float, str]:
    mean = row.metrics[metric.name].mean or 0.0
    return row.rank is None, row.rank or 0, -mean if metric.higher_is_better else mean, row.strategy
