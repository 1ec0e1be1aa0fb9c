"""Computes what charts are drawn of: plain rows with numbers that JSON knows, None where there is none.

Entrants come in the order of their contest, which is the order of colours and legends: see `chosen`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np

from lifelong.measures.continual import Curve, Matrix, average_so_far, forgetting_by_experience, forgetting_so_far
from lifelong.records.metrics import RUN_METRICS
from lifelong.reporting.statistics.bootstrap import Interval, mean_intervals
from lifelong.reporting.statistics.comparison import Comparison, adjusted, compare
from lifelong.reporting.statistics.pareto import front
from lifelong.reporting.statistics.scores import Contest, Entrant, all_labels
from lifelong.reporting.statistics.standings import Table, standings

Row = dict[str, Any]

CURVES: Mapping[str, Callable[[Matrix], Curve]] = {
    "average_accuracy": average_so_far,
    "forgetting": forgetting_so_far,
}


def chosen(contest: Contest, labels: Sequence[str]) -> Contest:
    """Return the contest with these entrants alone, in this order; labels that did not take part are passed over."""
    order = {label: place for place, label in enumerate(labels)}
    entrants = [entrant for entrant in contest.entrants if entrant.label in order]
    return replace(contest, entrants=tuple(sorted(entrants, key=lambda entrant: order[entrant.label])))


def curves(contests: Iterable[Contest]) -> list[Row]:
    """Return accuracy and forgetting so far after each experience, with intervals over seeds."""
    return [
        row | {"metric": metric}
        for contest in contests
        for metric, curve in CURVES.items()
        for row in _by_experience(contest, curve)
    ]


def forgotten(contests: Iterable[Contest]) -> list[Row]:
    """Return how far each experience but the last fell from its best accuracy to the end, with intervals over seeds."""
    return [row for contest in contests for row in _by_experience(contest, forgetting_by_experience)]


def _by_experience(contest: Contest, curve: Callable[[Matrix], Curve]) -> Iterator[Row]:
    """One row for each entrant and experience that has a value."""
    lines = {
        (row, column): curve(entrant.matrices[seed])
        for column, entrant in enumerate(contest.entrants)
        for row, seed in enumerate(contest.seeds)
        if seed in entrant.matrices
    }
    length = max((len(values) for values in lines.values()), default=0)
    if not length:
        return
    values = np.full((len(contest.seeds), len(contest.entrants), length), np.nan)
    for at, one in lines.items():
        values[at][: len(one)] = one
    intervals = mean_intervals([values.reshape(len(values), -1)])
    for k, (entrant, experience) in enumerate(product(contest.entrants, range(1, length + 1))):
        interval = intervals[k]
        if interval.mean is not None:
            yield _of(contest, entrant) | {"experience": experience} | _parts(interval)


def _of(contest: Contest, entrant: Entrant) -> Row:
    return {"scenario": contest.scenario, "strategy": entrant.label}


def _parts(interval: Interval) -> Row:
    return {"mean": interval.mean, "low": interval.low, "high": interval.high, "n": interval.n}


def matrix(R: Matrix) -> list[Row]:
    """Return the entries of one run's R, of shape (T + 1, T), row by row."""
    return [
        {"after": int(i), "experience": int(j) + 1, "accuracy": None if np.isnan(R[i, j]) else float(R[i, j])}
        for i, j in np.ndindex(R.shape)
    ]


def costs(contests: Iterable[Contest], metric: str, names: Sequence[str]) -> list[Row]:
    """Return a metric against what it cost, as means over seeds, and who is better at no more cost.

    Ceilings and references keep the data that a stream takes away. They are no rivals, and not on the front.

    Args:
        contests: the scenarios.
        metric: one of `RUN_METRICS`.
        names: the costs, which are `RUN_METRICS` too.
    """
    tables = [table for contest in contests for table in standings([contest], [metric, *names])]
    return [row for table in tables for cost in names for row in _against(table, metric, cost)]


def _against(table: Table, metric: str, cost: str) -> Iterator[Row]:
    for point in front(table, [metric, cost]):
        value, paid = point.values
        yield {
            "scenario": table.scenario,
            "strategy": point.row.strategy,
            "role": point.row.role,
            "metric": metric,
            "accuracy": value,
            "low": point.row.metrics[metric].low,
            "high": point.row.metrics[metric].high,
            "cost": cost,
            "x": paid,
            "front": point.ahead,
            "dominated_by": ", ".join(point.dominated_by) if point.rival else "",
        }


def differences(contests: Sequence[Contest], metric: str, baseline: str) -> list[Row]:
    """Return the paired differences of all others from a baseline, on each scenario and on all, the best first.

    P-values and verdicts are corrected for the number of comparisons on a scenario.

    Args:
        contests: the scenarios.
        metric: one of `RUN_METRICS`.
        baseline: the label of an entrant.
    """
    pairs = [(label, baseline) for label in all_labels(contests) if label != baseline]
    comparisons = adjusted(compare(contests, metric, pairs)) if pairs else []
    return [_difference(comparison) for comparison in _best_first(comparisons)]


def _best_first(comparisons: Iterable[Comparison]) -> list[Comparison]:
    """The best first within each scenario; scenarios in the order in which they came."""
    places: dict[str, int] = {}

    def order(comparison: Comparison) -> tuple[int, float]:
        mean = comparison.difference.mean or 0.0
        sign = -1 if RUN_METRICS[comparison.metric].higher_is_better else 1
        return places.setdefault(comparison.scenario, len(places)), sign * mean

    return sorted(comparisons, key=order)


def _difference(comparison: Comparison) -> Row:
    return {
        "scenario": comparison.scenario,
        "metric": comparison.metric,
        "baseline": comparison.second,
        "strategy": comparison.first,
        **_parts(comparison.difference),
        "p": comparison.p,
        "improvement": comparison.improvement,
        "effect": comparison.effect,
        "verdict": comparison.verdict,
    }
