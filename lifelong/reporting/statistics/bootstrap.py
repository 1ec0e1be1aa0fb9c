"""The bootstrap over seeds: how far a mean would move if other seeds had been drawn.

Seeds are drawn anew within each scenario (the strata). A percentile interval is too narrow for a few seeds: of nominal
95 %, that of five covers some 84 %. So the percentiles are moved outwards until the interval of normal data is
Student's (the expanded percentile interval): z is replaced by t with the degrees of freedom that the seeds leave, times
the square root of n / (n - 1), as resampling n seeds makes the variance too small by that ratio.

Sources: Efron & Tibshirani 1993, An Introduction to the Bootstrap, chapter 13; Hesterberg 2015, What Teachers Should
Know About the Bootstrap, arXiv:1411.5279. For several strata the degrees of freedom are summed, and the smallest sets
the ratio: our choice.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy.stats import norm, t

CONFIDENCE = 0.95
RESAMPLES = 4_999

CHUNK = 16
"""How many means are resampled at a time, so that memory does not grow with their number."""

ROUNDING = 1e-12
"""What a difference may owe to rounding, relative to the numbers that it is of."""

Values = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Interval:
    """A mean over seeds and its 95 % bootstrap interval; None stands for what does not exist."""

    mean: float | None
    low: float | None
    high: float | None
    n: int
    """The values that it rests on."""


@dataclass(frozen=True)
class Intervals:
    """Several at once: each field is of shape (K,), NaN where there is none."""

    mean: Values
    low: Values
    high: Values
    n: Counts

    def __getitem__(self, column: int) -> Interval:
        mean, low, high = (defined(values[column]) for values in (self.mean, self.low, self.high))
        return Interval(mean, low, high, int(self.n[column]))


def defined(value: float) -> float | None:
    """A number of Python's, None for NaN."""
    return None if np.isnan(value) else float(value)


def mean_interval(values: Iterable[float]) -> Interval:
    """The mean of one value for each seed, in the order of the seeds, NaN left out, and its interval.

    One seed has no interval; seeds that agree have one of zero width.
    """
    return mean_intervals([np.array(list(values), dtype=np.float64).reshape(-1, 1)])[0]


def mean_intervals(strata: Sequence[Values]) -> Intervals:
    """The means over strata of the means over seeds, and their intervals, for K things at once.

    All K are resampled alike, so that the same input gives the same numbers, whatever stands beside it, and the
    resampled means of a difference are the differences of the resampled means.

    Args:
        strata: for each scenario an array of shape (seeds, K), the seeds in order; NaN where a seed has no value. What
            has no value at all in some stratum has no mean; what has one alone in some stratum, no interval.
    """
    n = counts(strata)
    mean, low, high = (np.full(n.shape[1], np.nan) for _ in range(3))
    for sizes in np.unique(n, axis=1).T:
        if not sizes.all():
            continue
        columns = np.flatnonzero((n == sizes[:, None]).all(axis=0))
        for part in np.array_split(columns, -(-len(columns) // CHUNK)):
            samples = [_present(values[:, part])[:size] for values, size in zip(strata, sizes, strict=True)]
            mean[part] = _mean(samples)
            if sizes.min() > 1:
                low[part], high[part] = _ends(samples, mean[part])
    return Intervals(mean, low, high, n.sum(axis=0))


def counts(strata: Sequence[Values]) -> Counts:
    """How many seeds have a value, of shape (strata, K); strata of shape (seeds, K), NaN where a seed has none."""
    return np.array([(~np.isnan(values)).sum(axis=0) for values in strata])


def _present(values: Values) -> Values:
    """The values of each column that are there, in order, before those that are not."""
    order = np.argsort(np.isnan(values), axis=0, kind="stable")
    return np.asarray(np.take_along_axis(values, order, axis=0))


def _mean(samples: Sequence[Values]) -> Values:
    return _averaged([sample.cumsum(axis=0)[-1] for sample in samples], samples)


def _ends(samples: Sequence[Values], mean: Values) -> tuple[Values, Values]:
    """Of the intervals, for samples of shape (n, K) without NaN; where all values of each stratum agree, the mean.

    An end that differs from zero by rounding alone is zero.
    """
    certain = np.all([(sample == sample[0]).all(axis=0) for sample in samples], axis=0)
    negligible = ROUNDING * np.max([abs(sample).max(axis=0) for sample in samples], axis=0)
    ends = _percentiles(resampled_means(samples), [len(sample) for sample in samples])
    low, high = (np.where(abs(end) <= negligible, 0.0, end) for end in ends)
    return np.where(certain, mean, low), np.where(certain, mean, high)


def _percentiles(resampled: Values, sizes: Sequence[int]) -> tuple[Values, Values]:
    """The lower and the upper end of each interval, for resampled numbers of shape (..., RESAMPLES)."""
    below = tail(tuple(sizes))
    above = RESAMPLES - 1 - below
    ordered = np.partition(resampled, (below, above), axis=-1)
    return ordered[..., below], ordered[..., above]


def resampled_means(samples: Sequence[Values]) -> Values:
    """The means over strata of the means over seeds, of shape (K, RESAMPLES); samples of shape (n, K) without NaN."""
    return _averaged([_summed(sample, _draws(len(sample), k)) for k, sample in enumerate(samples)], samples)


def _summed(sample: Values, draws: Values) -> Values:
    """Sums of the values as often as each is drawn, of shape (K, resamples).

    One seed after another, as einsum does it: the last bits of a matrix product depend on what else is in the matrix.
    """
    return np.asarray(np.einsum("nk,nr->kr", sample, draws))


def _averaged(sums: Sequence[Values], samples: Sequence[Values]) -> Values:
    """The means over strata of the means over seeds."""
    return np.asarray(sum(total / len(sample) for total, sample in zip(sums, samples, strict=True)) / len(samples))


@lru_cache
def _draws(n: int, stratum: int) -> Values:
    """How often each of n seeds is drawn, of shape (n, RESAMPLES); other draws for each stratum."""
    draws = np.random.default_rng([n, stratum]).multinomial(n, [1 / n] * n, size=RESAMPLES)
    return np.ascontiguousarray(draws.T, dtype=np.float64)


def freedom(sizes: Sequence[int]) -> int:
    """The degrees of freedom that as many seeds in each stratum leave."""
    return sum(n - 1 for n in sizes)


def enough(sizes: Sequence[int]) -> bool:
    """Whether the interval can be trusted: five seeds of one scenario, three of each of two.

    Of fewer, even an interval as wide as the data covers less than 90 %.
    """
    return min(sizes, default=0) >= 3 and freedom(sizes) >= 4


@lru_cache
def tail(sizes: tuple[int, ...]) -> int:
    """How many resamples lie beyond either end of the interval: fewer than 2.5 % where there are few seeds."""
    n = min(sizes)
    z = np.sqrt(n / (n - 1)) * t.ppf((1 + CONFIDENCE) / 2, freedom(sizes))
    return int(norm.sf(z) * (RESAMPLES + 1))


def interquartile_mean(strata: Sequence[Values]) -> Interval:
    """The mean of the middle half of all values, each seed of each scenario being one, and its interval.

    A quarter, rounded down, is left out at either end. One bad scenario moves it less than the mean.

    Args:
        strata: for each scenario the values of its seeds, in order, of shape (seeds,), without NaN.

    Source: Agarwal et al. 2021, Deep Reinforcement Learning at the Edge of the Statistical Precipice, arXiv:2108.13264.
    """
    sizes = tuple(map(len, strata))
    if not all(sizes):
        return Interval(None, None, None, sum(sizes))
    values = np.concatenate(strata)
    order = np.argsort(values, kind="stable")
    mean = float(_middle(np.ones((len(values), 1), dtype=np.int32), values[order])[0])
    if min(sizes) < 2:
        return Interval(mean, None, None, sum(sizes))
    low, high = _percentiles(_middle(_all_draws(sizes)[order], values[order]), sizes)
    return Interval(mean, float(low), float(high), sum(sizes))


@lru_cache
def _all_draws(sizes: tuple[int, ...]) -> npt.NDArray[np.int32]:
    """The draws of several strata below each other, of shape (seeds, RESAMPLES)."""
    return np.concatenate([_draws(n, stratum) for stratum, n in enumerate(sizes)], dtype=np.int32, casting="unsafe")


def _middle(draws: npt.NDArray[np.int32], values: Values) -> Values:
    """The mean of the middle half of each resample, given how often it holds each of the sorted values."""
    n = len(values)
    cut = n // 4
    upto = draws.cumsum(axis=0, dtype=np.int32).clip(cut, n - cut)
    kept = np.diff(upto, axis=0, prepend=cut)
    return np.asarray(values @ kept / (n - 2 * cut), dtype=np.float64)
