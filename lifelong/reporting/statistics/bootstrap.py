"""The bootstrap over seeds: how far a mean would move if other seeds had been drawn.

Seeds are drawn anew within each scenario (the strata). With few seeds a percentile interval is too narrow: of nominal
95 %, that of five seeds covers about 84 %. The percentiles are therefore moved outwards, until the interval of normal
data is Student's. This is the expanded percentile interval. It replaces z by t, with the degrees of freedom that the
seeds leave, times sqrt(n / (n - 1)), because resampling n seeds makes the variance too small by (n - 1) / n.

Sources: Efron & Tibshirani 1993, An Introduction to the Bootstrap, chapter 13; Hesterberg 2015, What Teachers Should
Know About the Bootstrap, arXiv:1411.5279. For several strata the degrees of freedom are summed, and the smallest
stratum sets the ratio. That is our choice.

Arrays of shape (seeds, K) hold K things side by side, such as strategies or pairs of them.
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
"""Means that are resampled at a time, so that memory does not grow with their number."""

ROUNDING = 1e-12
"""The largest difference between two numbers, relative to them, that is taken for rounding."""

Values = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Interval:
    """A mean over seeds and its 95 % bootstrap interval; None stands for what does not exist."""

    mean: float | None
    low: float | None
    high: float | None
    n: int
    """The number of values behind it."""


@dataclass(frozen=True)
class Intervals:
    """Holds K intervals: each field is of shape (K,), NaN where there is no such number."""

    mean: Values
    low: Values
    high: Values
    n: Counts

    def __getitem__(self, column: int) -> Interval:
        mean, low, high = (defined(values[column]) for values in (self.mean, self.low, self.high))
        return Interval(mean, low, high, int(self.n[column]))


def defined(value: float) -> float | None:
    """Return a Python float, or None for NaN."""
    return None if np.isnan(value) else float(value)


def mean_interval(values: Iterable[float]) -> Interval:
    """Return the mean of one value for each seed, and its interval.

    >>> mean_interval([0.5, 0.75, float("nan")])
    Interval(mean=0.625, low=0.5, high=0.75, n=2)

    Args:
        values: one for each seed, in the order of the seeds. NaN is left out.

    Returns:
        One value alone has no interval. Values that agree have one of zero width.
    """
    return mean_intervals([np.array(list(values), dtype=np.float64).reshape(-1, 1)])[0]


def mean_intervals(strata: Sequence[Values]) -> Intervals:
    """Return the means over strata of the means over seeds, and their intervals, for K things at once.

    All K are resampled alike. The same values therefore have the same interval, whatever stands beside them, and the
    resampled means of a difference are the differences of the resampled means.

    >>> mean_intervals([np.array([[0.25, 1.0], [0.75, 1.0]])])[0]
    Interval(mean=0.5, low=0.25, high=0.75, n=2)

    Args:
        strata: for each scenario an array of shape (seeds, K), the seeds in order; NaN where a seed has no value.

    Returns:
        What has no value in one of the strata has no mean. What has a single value in one of them has no interval.
    """
    n = counts(strata)
    mean, low, high = (np.full(n.shape[1], np.nan) for _ in range(3))
    # the interval depends on the number of seeds, so that columns with the same numbers are resampled together
    for sizes in np.unique(n, axis=1).T:
        if not sizes.all():
            continue
        columns = np.flatnonzero((n == sizes[:, None]).all(axis=0))
        for part in np.array_split(columns, -(-len(columns) // CHUNK)):  # as many parts as hold CHUNK each, rounded up
            # which seeds are missing may differ from column to column, how many may not: the values move up
            samples = [_present(values[:, part])[:size] for values, size in zip(strata, sizes, strict=True)]
            mean[part] = _mean(samples)
            if sizes.min() > 1:
                low[part], high[part] = _ends(samples, mean[part])
    return Intervals(mean, low, high, n.sum(axis=0))


def counts(strata: Sequence[Values]) -> Counts:
    """Return how many seeds have a value, of shape (strata, K).

    >>> counts([np.array([[0.5, np.nan], [0.25, 1.0]])]).tolist()
    [[2, 1]]

    Args:
        strata: arrays of shape (seeds, K), NaN where a seed has no value.
    """
    return np.array([(~np.isnan(values)).sum(axis=0) for values in strata])


def _present(values: Values) -> Values:
    """The values of each column that are there, in their order, above those that are NaN; of shape (seeds, K)."""
    order = np.argsort(np.isnan(values), axis=0, kind="stable")
    return np.asarray(np.take_along_axis(values, order, axis=0))


def _mean(samples: Sequence[Values]) -> Values:
    """The means over strata of the means over seeds, of shape (K,)."""
    # numpy's sum adds in pairs, in an order that depends on the shape; a running sum adds one seed after another
    return _averaged([sample.cumsum(axis=0)[-1] for sample in samples], samples)


def _ends(samples: Sequence[Values], mean: Values) -> tuple[Values, Values]:
    """The ends of the intervals, each of shape (K,), for samples of shape (n, K) without NaN.

    Where all values of each stratum agree, both are the mean.
    """
    certain = np.all([(sample == sample[0]).all(axis=0) for sample in samples], axis=0)
    # whether an interval holds zero decides verdicts: rounding must not put an end on the other side
    negligible = ROUNDING * np.max([abs(sample).max(axis=0) for sample in samples], axis=0)
    ends = _percentiles(resampled_means(samples), [len(sample) for sample in samples])
    low, high = (np.where(abs(end) <= negligible, 0.0, end) for end in ends)
    return np.where(certain, mean, low), np.where(certain, mean, high)


def _percentiles(resampled: Values, sizes: Sequence[int]) -> tuple[Values, Values]:
    """The lower and the upper end of each interval, for resampled numbers of shape (..., RESAMPLES)."""
    below = tail(tuple(sizes))  # a place in the sorted resamples; no end lies between two of them
    above = RESAMPLES - 1 - below
    ordered = np.partition(resampled, (below, above), axis=-1)
    return ordered[..., below], ordered[..., above]


def resampled_means(samples: Sequence[Values]) -> Values:
    """Return the means over strata of the means over seeds in each resample, of shape (K, RESAMPLES).

    Args:
        samples: for each stratum the values, of shape (n, K), without NaN.
    """
    return _averaged([_summed(sample, _draws(len(sample), k)) for k, sample in enumerate(samples)], samples)


def _summed(sample: Values, draws: Values) -> Values:
    """The sums of the values, each as often as it is drawn, of shape (K, RESAMPLES)."""
    # einsum adds one seed after another; the last bits of a matrix product depend on what else is in the matrix
    return np.asarray(np.einsum("nk,nr->kr", sample, draws))


def _averaged(sums: Sequence[Values], samples: Sequence[Values]) -> Values:
    """The means over strata, which count alike, of the means over their seeds, given the sums over seeds."""
    return np.asarray(sum(total / len(sample) for total, sample in zip(sums, samples, strict=True)) / len(samples))


@lru_cache
def _draws(n: int, stratum: int) -> Values:
    """How often each of n seeds is drawn in each resample, of shape (n, RESAMPLES)."""
    # the generator's seed is the number of seeds and the stratum: strata are drawn independently, all else alike
    draws = np.random.default_rng([n, stratum]).multinomial(n, [1 / n] * n, size=RESAMPLES)
    return np.ascontiguousarray(draws.T, dtype=np.float64)


def freedom(sizes: Sequence[int]) -> int:
    """Return the degrees of freedom that so many seeds in each stratum leave.

    >>> freedom([5, 3])
    6
    """
    return sum(n - 1 for n in sizes)


def enough(sizes: Sequence[int]) -> bool:
    """Return whether there are seeds enough to trust an interval: five of one scenario, or three of each of two.

    With fewer, even an interval that is as wide as the data covers less than 90 %.

    >>> enough([5]), enough([3, 3]), enough([4])
    (True, True, False)
    """
    return min(sizes, default=0) >= 3 and freedom(sizes) >= 4


@lru_cache
def tail(sizes: tuple[int, ...]) -> int:
    """Return how many of the resamples lie beyond either end of the interval: the fewer, the fewer seeds there are.

    >>> tail((5,)), tail((1000,)), RESAMPLES
    (4, 124, 4999)
    """
    n = min(sizes)
    # a normal interval of so many deviations is as wide as Student's: as many resamples lie beyond it
    z = np.sqrt(n / (n - 1)) * t.ppf((1 + CONFIDENCE) / 2, freedom(sizes))
    return int(norm.sf(z) * (RESAMPLES + 1))


def interquartile_mean(strata: Sequence[Values]) -> Interval:
    """Return the mean of the middle half of all values, one for each seed of each scenario, and its interval.

    A quarter, rounded down, is left out at either end. One bad scenario moves this mean less than the plain one.

    >>> interquartile_mean([np.array([0.0, 0.5, 0.75, 1.0])]).mean
    0.625

    Args:
        strata: for each scenario the values of its seeds, in order, of shape (seeds,), without NaN.

    Source: Agarwal et al. 2021, Deep Reinforcement Learning at the Edge of the Statistical Precipice, arXiv:2108.13264.
    """
    sizes = tuple(map(len, strata))
    if not all(sizes):
        return Interval(None, None, None, sum(sizes))
    values = np.concatenate(strata)
    order = np.argsort(values, kind="stable")  # once for all resamples: each counts how often it holds which value
    mean = float(_middle(np.ones((len(values), 1), dtype=np.int32), values[order])[0])
    if min(sizes) < 2:
        return Interval(mean, None, None, sum(sizes))
    low, high = _percentiles(_middle(_all_draws(sizes)[order], values[order]), sizes)
    return Interval(mean, float(low), float(high), sum(sizes))


@lru_cache
def _all_draws(sizes: tuple[int, ...]) -> npt.NDArray[np.int32]:
    """The draws of several strata, one below the other, of shape (seeds, RESAMPLES)."""
    return np.concatenate([_draws(n, stratum) for stratum, n in enumerate(sizes)], dtype=np.int32, casting="unsafe")


def _middle(draws: npt.NDArray[np.int32], values: Values) -> Values:
    """The mean of the middle half of each resample, of shape (RESAMPLES,).

    Args:
        draws: how often it holds each of the sorted values, of shape (values, RESAMPLES); n in all.
        values: those values, of shape (values,).
    """
    n = len(values)
    cut = n // 4
    # sorted, a resample holds a value at the places from one running count to the next; of these places count those
    # from `cut` to `n - cut`, so that clipping the running counts leaves how often each value is in the middle half
    upto = draws.cumsum(axis=0, dtype=np.int32).clip(cut, n - cut)
    kept = np.diff(upto, axis=0, prepend=cut)
    return np.asarray(values @ kept / (n - 2 * cut), dtype=np.float64)
