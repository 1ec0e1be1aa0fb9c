"""Is one strategy better than another? Seeds are paired, for strategies that share one share class order and weights.

Everything rests on the differences between two strategies' values of equal seed. Scenarios are strata: together, they
count alike, whatever their numbers of seeds.
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
    """First minus second: the mean over the pairs (of the means of the scenarios), and its 95 % bootstrap interval; `n`
    is the number of pairs."""
    improvement: float
    """The share of the pairs in which the first is better, equal ones counted half; the mean over scenarios."""
    effect: float | None
    """The mean difference in standard deviations of the difference (Cohen's d for pairs, corrected after Hedges); None
    where these are zero, or there are too few pairs to tell them."""
    p: float | None
    """Of the paired t-test, two-sided, over scenarios with Welch's and Satterthwaite's degrees of freedom; after
    `adjusted`, corrected for the number of comparisons. None for a single pair."""
    verdict: Verdict
    """Of the first. Better or worse where the interval excludes zero; `same` where every pair is equal."""

    @property
    def by_interval(self) -> Literal["better", "worse"] | None:
        """What the interval alone says of the first, where it excludes zero."""
        return _by_interval(self.difference, self.metric)


def compare(contests: Sequence[Contest], metric: str, pairs: Sequence[Pair]) -> list[Comparison]:
    """Each pair on each scenario that both took part in with equal seeds, and on all where there are several.

    Args:
        contests: the scenarios.
        metric: one of `RUN_METRICS`.
        pairs: labels of entrants. A pair without shared seeds on a scenario is left out there; on all together it
            stands if it shares seeds on each.

    Sources: Agarwal et al. 2021, arXiv:2108.13264 (intervals instead of points; probability of improvement, here over
    pairs of equal seed); Lakens 2013, doi:10.3389/fpsyg.2013.00863 (effect sizes of pairs).
    """
    strata = [_differences(contest, metric, pairs) for contest in contests]
    found = [
        comparison
        for contest, differences in zip(contests, strata, strict=True)
        for comparison in _compared(contest.scenario, metric, pairs, [differences])
    ]
    return found + (list(_compared(ALL, metric, pairs, strata)) if len(contests) > 1 else [])


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
    """On the first of a pair that differs somewhere, by the numbers of pairs in each stratum."""
    if not enough(sizes):
        return "too few seeds"
    return _by_interval(difference, metric) or "cannot tell"


def _by_interval(difference: Interval, metric: str) -> Literal["better", "worse"] | None:
    low, high = difference.low, difference.high
    if low is None or high is None or low <= 0 <= high:
        return None
    return "better" if (low > 0) == RUN_METRICS[metric].higher_is_better else "worse"


def _improvements(strata: Sequence[Values], higher: bool) -> Values:
    better = [np.nanmean(np.sign(values if higher else -values), axis=0) for values in strata]
    return np.asarray((np.mean(better, axis=0) + 1) / 2)


def _squares(strata: Sequence[Values]) -> Values:
    """The sums of squared deviations within each stratum, of shape (strata, K)."""
    return np.array([np.nansum((values - np.nanmean(values, axis=0)) ** 2, axis=0) for values in strata])


def _means(strata: Sequence[Values]) -> Values:
    return np.asarray(np.mean([np.nanmean(values, axis=0) for values in strata], axis=0))


def _effects(strata: Sequence[Values], sizes: Counts) -> Values:
    """Hedges' g of the differences, by the standard deviation within scenarios; NaN where there is none."""
    freedom, means = (sizes - 1).sum(axis=0), _means(strata)
    deviations = np.sqrt(_squares(strata).sum(axis=0) / np.maximum(freedom, 1))
    told = (freedom >= 2) & (deviations > ROUNDING * abs(means))
    corrected = means / np.where(told, deviations, 1) * (1 - 3 / (4 * np.maximum(freedom, 1) - 1))
    return np.where(told, corrected, np.nan)


def _p_values(strata: Sequence[Values], sizes: Counts) -> Values:
    """Of the t-tests, NaN where a stratum has a single pair; without any variance 1 for no difference, else 0."""
    repeated = np.maximum(sizes - 1, 1)
    errors, means = _squares(strata) / repeated / sizes, _means(strata)
    error = errors.sum(axis=0)
    varies = error > 0
    freedom = error**2 / np.where(varies, (errors**2 / repeated).sum(axis=0), 1)
    student = abs(means) / np.sqrt(np.where(varies, error, 1)) * len(strata)
    p_values = np.where(varies, 2 * t.sf(student, np.where(varies, freedom, 1)), means == 0)
    return np.where((sizes > 1).all(axis=0), p_values, np.nan)


def adjusted(comparisons: Sequence[Comparison]) -> list[Comparison]:
    """The same with p corrected for how many they are; who is better only by chance among many is not told apart.

    The comparisons on one scenario are one family. A verdict then needs an interval without zero and a p below 5 %.

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
    """P-values such that rejecting those below a level errs once in all with at most that probability."""
    order = np.argsort(p_values, kind="stable")
    factors = np.arange(len(order), 0, -1)
    steps = np.maximum.accumulate(np.asarray(p_values)[order] * factors).clip(max=1.0)
    corrected = np.empty(len(order))
    corrected[order] = steps
    return [float(p) for p in corrected]


def superiority(strata: Sequence[Values], higher_is_better: bool) -> npt.NDArray[np.bool_]:
    """Who is better than whom, of shape (K, K): the interval of their paired difference excludes zero.

    Args:
        strata: for each scenario the values, of shape (seeds, K), NaN where there is none; pairs that share no seed on
            some scenario are not told apart.
        higher_is_better: else lower.
    """
    K = strata[0].shape[1]
    signs = np.zeros((K, K), dtype=np.int64)
    present = np.concatenate([~np.isnan(values) for values in strata])
    patterns, members = np.unique(present, axis=1, return_inverse=True)
    for k, j in combinations_with_replacement(range(patterns.shape[1]), 2):  # who misses the same seeds, at once
        shared = np.split(patterns[:, k] & patterns[:, j], np.cumsum([len(values) for values in strata])[:-1])
        samples = [values[rows] for values, rows in zip(strata, shared, strict=True)]
        first, second = np.flatnonzero(members == k), np.flatnonzero(members == j)
        found = _signs([sample[:, first] for sample in samples], [sample[:, second] for sample in samples])
        signs[np.ix_(first, second)], signs[np.ix_(second, first)] = found, -found.T
    return np.asarray(signs > 0 if higher_is_better else signs < 0)


def _signs(first: Sequence[Values], second: Sequence[Values]) -> npt.NDArray[np.int64]:
    """On which side of zero the interval of first minus second lies, 0 for both; of shape (K, L).

    It lies on one side where no more resampled differences are on the other than lie beyond an interval's end (`tail`).
    With a single pair in some stratum there is no interval: then all pairs have to lie on that side.

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
