"""Ranks entrants: a table for each scenario and one for all together, a row for each entrant."""

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
    """One entrant: a strategy with its parameters."""

    ranks: dict[str, int | None]
    """The rank by each metric that ranks, the one that orders the table first. A rank is one more than the number of
    entrants that are better, by an interval of the paired difference that excludes zero; entrants that cannot be told
    apart may share one. None where a value is missing."""
    strategy: str
    role: Role
    n: int
    """The number of runs that are ok."""
    planned: int
    """The number of runs that the board plans; on all scenarios together, impossible ones count too."""
    failures: int
    enough: bool
    """Whether there are seeds enough to trust its intervals."""
    metrics: dict[str, Interval]
    """The mean over seeds; on all scenarios together the mean of their means, and none where a scenario is missing."""
    interquartile: Interval | None = None
    """The interquartile mean of the first metric over the runs of all scenarios; None in the table of a single one."""

    @property
    def rank(self) -> int | None:
        """The rank that orders the table."""
        return next(iter(self.ranks.values()))


@dataclass(frozen=True)
class Table:
    """The ranking on one scenario, under one model and budget, or on all scenarios together."""

    scenario: str
    rows: tuple[Row, ...]
    impossible: tuple[str, ...] = ()
    """A sentence for each strategy that cannot take part, with the reason."""

    @property
    def ranking(self) -> list[str]:
        """The metrics that rank, at most two; none in a table without rows."""
        return list(self.rows[0].ranks) if self.rows else []

    @property
    def overall(self) -> bool:
        """Whether it ranks on all scenarios together."""
        return any(row.interquartile is not None for row in self.rows)


def standings(contests: Sequence[Contest], metrics: Sequence[str]) -> list[Table]:
    """Rank on each scenario, and before that on all together, if there are several and each has the first metric.

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
    """One ranking, in which several contests are strata."""
    choices = {entrant.identity: entrant for contest in contests for entrant in contest.entrants}
    identities = sorted(choices, key=lambda key: (choices[key].label, key))
    columns = [_columns(contest, identities) for contest in contests]
    strata = {name: [c.values_of(at, name) for c, at in zip(contests, columns, strict=True)] for name in metrics}
    means = {name: mean_intervals(values) for name, values in strata.items()}
    ranking = _ranking({name: bool((~np.isnan(own.mean)).any()) for name, own in means.items()})
    ranks = {metric.name: _ranks(strata[metric.name], metric) for metric in ranking}
    first, overall = ranking[0], len(contests) > 1
    rows = []
    for k, key in enumerate(identities):
        own = [_entrant(contest, at[k]) for contest, at in zip(contests, columns, strict=True)]
        rows.append(
            Row(
                ranks={name: places[k] for name, places in ranks.items()},
                strategy=choices[key].label,
                role=choices[key].role,
                n=sum(len(entrant.matrices) for entrant in own if entrant),
                planned=sum(map(_planned, contests, own)),
                failures=sum(len(entrant.records) - len(entrant.matrices) for entrant in own if entrant),
                enough=enough([len(entrant.matrices) if entrant else 0 for entrant in own]),
                metrics={name: intervals[k] for name, intervals in means.items()},
                interquartile=interquartile_mean([_seen(v[:, k]) for v in strata[first.name]]) if overall else None,
            )
        )
    return Table(title, tuple(sorted(rows, key=lambda row: _order(row, first))), impossible)


def _columns(contest: Contest, identities: Sequence[str]) -> list[int]:
    """The column of each identity among the entrants."""
    at = {entrant.identity: column for column, entrant in enumerate(contest.entrants)}
    return [at.get(key, ABSENT) for key in identities]


def _seen(values: Values) -> Values:
    return values[~np.isnan(values)]


def _entrant(contest: Contest, column: int) -> Entrant | None:
    return None if column == ABSENT else contest.entrants[column]


def _planned(contest: Contest, entrant: Entrant | None) -> int:
    """The planned runs of an entrant; where it does not take part, as many as of those that do."""
    return entrant.planned if entrant else max((one.planned for one in contest.entrants), default=0)


def _ranking(there_is: dict[str, bool]) -> list[RunMetric]:
    """The first two metrics that any row has (without classes there is no accuracy); a cost only if asked for first."""
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
