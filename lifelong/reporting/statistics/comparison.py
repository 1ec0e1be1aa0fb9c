"""Is one strategy better than another? Runs are paired by seed: with one seed, class order and first weights are equal.

Everything rests on the differences between two strategies' values of equal seed. Scenarios are strata. Where several
are taken together they count alike, whatever their numbers of seeds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations_with_replacement
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.stats import t

from lifelong.records.metrics import RUN_METRICS
from lifelong.reporting.statistics.bootstrap import (
    CONFIDENCE,
    ROUNDING,
    Counts,
    Interval,
    Values,
    counts,
    defined,
    enough,
    mean_intervals,
    resampled_means,
    tail,
)
from lifelong.reporting.statistics.scores import ABSENT, Contest

ALL = "all scenarios"
Verdict = Literal["better", "worse", "same", "cannot tell", "too few seeds"]
Pair = tuple[str, str]


@dataclass(frozen=True)
class Comparison:
    """One strategy against another, on one scenario or on all."""

    scenario: str
    metric: str
    first: str
    second: str
    difference: Interval
    """First minus second: the mean over the pairs, on several scenarios the mean of their means, and its 95 % bootstrap
    interval. Its `n` is the number of pairs."""
    improvement: float
    """The share in [0, 1] of the pairs in which the first is better; equal ones count half. The mean over scenarios."""
    effect: float | None
    """The mean difference, divided by the standard deviation of the differences (Cohen's d for pairs, with Hedges'
    correction). None where that deviation is zero, or there are too few pairs to know it."""
    p: float | None
    """The p-value of the two-sided paired t-test. Over several scenarios the degrees of freedom are Welch's and
    Satterthwaite's. After `adjusted` it is corrected for the number of comparisons. None for a single pair."""
    verdict: Verdict
    """What can be said of the first: better or worse where the interval excludes zero, same where no pair differs."""

    @property
    def by_interval(self) -> Literal["better", "worse"] | None:
        """What the interval alone says of the first; None where it holds zero."""
        return _by_interval(self.difference, self.metric)


def compare(contests: Sequence[Contest], metric: str, pairs: Sequence[Pair]) -> list[Comparison]:
    """Compare each pair on each scenario where both have runs of equal seed, and on all scenarios if there are several.

    Args:
        contests: the scenarios.
        metric: one of `RUN_METRICS`.
        pairs: labels of entrants. A pair that shares no seed on a scenario is left out there. On all scenarios together
            a pair stands only if it shares seeds on each.

    Sources: Agarwal et al. 2021, arXiv:2108.13264 (intervals instead of points; probability of improvement, here over
    pairs of equal seed); Lakens 2013, doi:10.3389/fpsyg.2013.00863 (effect sizes of pairs).
    """
    strata = [_differences(contest, metric, pairs) for contest in contests]
    compared = [
        comparison
        for contest, differences in zip(contests, strata, strict=True)
        for comparison in _compared(contest.scenario, metric, pairs, [differences])
    ]
    return compared + (list(_compared(ALL, metric, pairs, strata)) if len(contests) > 1 else [])


def _differences(contest: Contest, metric: str, pairs: Sequence[Pair]) -> Values:
    """First minus second, of shape (seeds, pairs); NaN where one of them has no value."""
    columns = {label: column for column, label in enumerate(contest.labels)}
    first, second = (contest.values_of([columns.get(pair[k], ABSENT) for pair in pairs], metric) for k in (0, 1))
    return _paired(first, second)


def _paired(first: Values, second: Values) -> Values:
    """First minus second; zero where they differ by rounding alone."""
    difference = first - second
    negligible = abs(difference) <= ROUNDING * np.maximum(abs(first), abs(second))
    return np.where(negligible, 0.0, difference)


def _compared(scenario: str, metric: str, pairs: Sequence[Pair], strata: Sequence[Values]) -> Iterator[Comparison]:
    shared = np.flatnonzero(np.all(counts(strata), axis=0))
    strata = [values[:, shared] for values in strata]
    sizes = counts(strata)
    same = np.all([(np.isnan(values) | (values == 0)).all(axis=0) for values in strata], axis=0)
    intervals = mean_intervals(strata)
    improvements = _improvements(strata, RUN_METRICS[metric].higher_is_better)
    effects, p_values = _effects(strata, sizes), _p_values(strata, sizes)
    for k, (first, second) in enumerate(pairs[pair] for pair in shared.tolist()):
        yield Comparison(
            scenario,
            metric,
            first,
            second,
            difference=intervals[k],
            improvement=float(improvements[k]),
            effect=defined(effects[k]),
            p=defined(p_values[k]),
            verdict="same" if same[k] else _verdict(intervals[k], metric, sizes[:, k].tolist()),
        )


def _verdict(difference: Interval, metric: str, sizes: Sequence[int]) -> Verdict:
    """What can be said of the first of a pair that differs somewhere, given the number of pairs in each stratum."""
    if not enough(sizes):
        return "too few seeds"
    return _by_interval(difference, metric) or "cannot tell"


def _by_interval(difference: Interval, metric: str) -> Literal["better", "worse"] | None:
    low, high = difference.low, difference.high
    if low is None or high is None or low <= 0 <= high:
        return None
    return "better" if (low > 0) == RUN_METRICS[metric].higher_is_better else "worse"


def _improvements(strata: Sequence[Values], higher: bool) -> Values:
    """The shares of pairs in which the first is better, of shape (K,): 1 for a win, 1/2 for a draw, 0 for a loss."""
    better = [np.nanmean(np.sign(values if higher else -values), axis=0) for values in strata]
    return np.asarray((np.mean(better, axis=0) + 1) / 2)


def _squares(strata: Sequence[Values]) -> Values:
    """The sums of squared deviations from the mean of each stratum, of shape (strata, K)."""
    return np.array([np.nansum((values - np.nanmean(values, axis=0)) ** 2, axis=0) for values in strata])


def _means(strata: Sequence[Values]) -> Values:
    """The means over strata of the means of each, of shape (K,)."""
    return np.asarray(np.mean([np.nanmean(values, axis=0) for values in strata], axis=0))


def _effects(strata: Sequence[Values], sizes: Counts) -> Values:
    """Hedges' g of the differences, of shape (K,), with the deviation within scenarios; NaN where there is none."""
    freedom, means = (sizes - 1).sum(axis=0), _means(strata)
    deviations = np.sqrt(_squares(strata).sum(axis=0) / np.maximum(freedom, 1))
    told = (freedom >= 2) & (deviations > ROUNDING * abs(means))
    corrected = means / np.where(told, deviations, 1) * (1 - 3 / (4 * np.maximum(freedom, 1) - 1))
    return np.where(told, corrected, np.nan)


def _p_values(strata: Sequence[Values], sizes: Counts) -> Values:
    """The p-values of the t-tests, of shape (K,); NaN where a stratum has a single pair.

    Without any variance p is 1 where there is no difference, and 0 where there is one.
    """
    repeated = np.maximum(sizes - 1, 1)
    errors, means = _squares(strata) / repeated / sizes, _means(strata)
    error = errors.sum(axis=0)
    varies = error > 0
    freedom = error**2 / np.where(varies, (errors**2 / repeated).sum(axis=0), 1)
    student = abs(means) / np.sqrt(np.where(varies, error, 1)) * len(strata)
    p_values = np.where(varies, 2 * t.sf(student, np.where(varies, freedom, 1)), means == 0)
    return np.where((sizes > 1).all(axis=0), p_values, np.nan)


def adjusted(comparisons: Sequence[Comparison]) -> list[Comparison]:
    """Return comparisons with p-values corrected for their number: among many, some look better by chance.

    The comparisons on one scenario are one family. A verdict then needs an interval without zero and p < 0.05.

    Source: Holm 1979, A simple sequentially rejective multiple test procedure.
    """
    families: dict[str, list[int]] = {}
    for index, comparison in enumerate(comparisons):
        if comparison.p is not None:
            families.setdefault(comparison.scenario, []).append(index)
    corrected = list(comparisons)
    for family in families.values():
        for index, p in zip(family, holm([comparisons[index].p or 0.0 for index in family]), strict=True):
            told = comparisons[index].verdict
            doubtful = told in ("better", "worse") and p >= 1 - CONFIDENCE
            corrected[index] = replace(comparisons[index], p=p, verdict="cannot tell" if doubtful else told)
    return corrected


def holm(p_values: Sequence[float]) -> list[float]:
    """Correct p-values, so that rejecting all below a level makes any error at all with at most that probability.

    >>> holm([0.01, 0.5, 0.02])
    [0.03, 0.5, 0.04]

    Args:
        p_values: in [0, 1], in any order.
    """
    order = np.argsort(p_values, kind="stable")
    factors = np.arange(len(order), 0, -1)
    steps = np.maximum.accumulate(np.asarray(p_values)[order] * factors).clip(max=1.0)
    corrected = np.empty(len(order))
    corrected[order] = steps
    return [float(p) for p in corrected]


def superiority(strata: Sequence[Values], higher_is_better: bool) -> npt.NDArray[np.bool_]:
    """Return who is better than whom, of shape (K, K): where the interval of their paired difference excludes zero.

    >>> superiority([np.array([[0.5, 0.1]] * 5)], higher_is_better=True).tolist()
    [[False, True], [False, False]]

    Args:
        strata: for each scenario the values, of shape (seeds, K), NaN where there is none. Those that share no seed on
            one of the scenarios are not told apart.
        higher_is_better: whether a higher value is better; else a lower one is.
    """
    K = strata[0].shape[1]
    signs = np.zeros((K, K), dtype=np.int64)
    present = np.concatenate([~np.isnan(values) for values in strata])
    patterns, members = np.unique(present, axis=1, return_inverse=True)
    # two groups of columns, each of which misses the same seeds, are compared at once, on the seeds that both have
    for k, j in combinations_with_replacement(range(patterns.shape[1]), 2):
        shared = np.split(patterns[:, k] & patterns[:, j], np.cumsum([len(values) for values in strata])[:-1])
        samples = [values[rows] for values, rows in zip(strata, shared, strict=True)]
        first, second = np.flatnonzero(members == k), np.flatnonzero(members == j)
        sides = _signs([sample[:, first] for sample in samples], [sample[:, second] for sample in samples])
        signs[np.ix_(first, second)], signs[np.ix_(second, first)] = sides, -sides.T
    return np.asarray(signs > 0 if higher_is_better else signs < 0)


def _signs(first: Sequence[Values], second: Sequence[Values]) -> npt.NDArray[np.int64]:
    """On which side of zero the interval of first minus second lies, 0 where it holds zero; of shape (K, L).

    It lies on one side where no more of the resampled differences are on the other side than lie beyond an end of the
    interval (`tail`). With a single pair in one of the strata there is no interval: then every pair has to be there.

    Args:
        first, second: samples of the same seeds, of shape (n, K) and (n, L) for each stratum, without NaN.
    """
    sizes = tuple(map(len, first))
    signs = np.zeros((first[0].shape[1], second[0].shape[1]), dtype=np.int64)
    if not all(sizes):
        return signs
    if min(sizes) > 1:
        one, other, beyond = resampled_means(first), resampled_means(second), tail(sizes)
    else:
        one, other, beyond = np.concatenate(first).T, np.concatenate(second).T, 0
    negligible = ROUNDING * max(abs(values).max() for values in (*first, *second))
    for k, mine in enumerate(one):
        difference = mine - other
        above = (difference <= negligible).sum(axis=1) <= beyond
        signs[k] = above.astype(np.int64) - ((difference >= -negligible).sum(axis=1) <= beyond)
    return signs
