"""Intervals over seeds: against the textbook, against scipy, and by how often they hold the truth."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.stats import bootstrap, norm, t, trim_mean

from lifelong.reporting.statistics.bootstrap import Interval, enough, interquartile_mean, mean_interval, mean_intervals

Array = npt.NDArray[np.float64]
SEEDS = st.lists(st.floats(-1, 1, allow_subnormal=False), min_size=2, max_size=6)


def expanded(sizes: tuple[int, ...]) -> float:
    """The level at which the percentiles of so few seeds make an interval of 95 % (Hesterberg 2015, section 5)."""
    n, freedom = min(sizes), sum(sizes) - len(sizes)
    return float(norm.cdf(-t.ppf(0.975, freedom) * math.sqrt(n / (n - 1))))


def resampled(
    strata: list[Array], statistic: Callable[[list[Array]], Array], resamples: int = 200_000, seed: int = 1
) -> Array:
    random = np.random.default_rng(seed)
    return statistic([random.choice(sample, (resamples, len(sample))) for sample in strata])


def mean_of_means(strata: list[Array]) -> Array:
    return np.asarray(np.mean([sample.mean(axis=1) for sample in strata], axis=0))


def assert_ends(found: Interval, means: Array, sizes: tuple[int, ...]) -> None:
    """An end is one of the first of 4,999 resamples: it varies as the ends of as many others do."""
    level = expanded(sizes)
    low, high = np.quantile(means, [level, 1 - level])
    others = np.quantile(means.reshape(20, -1), [level, 1 - level], axis=1).std(axis=1)
    assert found.low == pytest.approx(low, abs=4 * others[0] + 1e-12)
    assert found.high == pytest.approx(high, abs=4 * others[1] + 1e-12)


def coverage(draw: Callable[[tuple[int, int]], Array], sizes: tuple[int, ...], samples: int = 2000) -> float:
    """How often the interval holds the truth, zero."""
    found = mean_intervals([draw((n, samples)) for n in sizes])
    return float(((found.low <= 0) & (found.high >= 0)).mean())


# --- the interval of a mean -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sizes", [(5,), (10,), (30,), (3, 3, 3), (5, 8)])
def test_the_interval_is_the_textbooks_with_percentiles_moved_outwards(sizes: tuple[int, ...]) -> None:
    random = np.random.default_rng(7)
    strata = [random.normal(k, 1 + k, n) for k, n in enumerate(sizes)]
    found = mean_intervals([sample[:, None] for sample in strata])[0]
    assert_ends(found, resampled(strata, mean_of_means), sizes)
    assert found.mean == pytest.approx(np.mean([sample.mean() for sample in strata]))
    assert found.n == sum(sizes)


def test_the_interval_of_many_seeds_is_scipys_at_the_moved_level() -> None:
    values = np.random.default_rng(3).gamma(2.0, size=30)
    level = expanded((30,))
    assert 0.015 < level < 0.025, "thirty seeds hardly move the percentiles"
    scipys = bootstrap(
        (values,),
        np.mean,
        n_resamples=100_000,
        confidence_level=1 - 2 * level,
        method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval
    found = mean_interval(values)
    assert found.low == pytest.approx(scipys.low, abs=0.02 * values.std())
    assert found.high == pytest.approx(scipys.high, abs=0.02 * values.std())


def test_two_and_three_seeds_have_an_interval_as_wide_as_they_lie_apart() -> None:
    assert mean_interval([0.2, 0.8]) == Interval(0.5, 0.2, 0.8, 2)
    found = mean_interval([0.1, 0.3, 0.8])
    assert (found.low, found.high) == pytest.approx((0.1, 0.8))


def test_one_seed_seeds_that_agree_and_none() -> None:
    assert mean_interval([0.7]) == Interval(0.7, None, None, 1)
    assert (agreed := mean_interval([0.3] * 9)).mean == pytest.approx(0.3)
    assert agreed.low == agreed.mean == agreed.high
    assert mean_interval([math.nan, 0.5]) == Interval(0.5, None, None, 1)
    assert mean_interval([math.nan, 0.2, 0.8]) == mean_interval([0.2, 0.8])
    assert mean_interval([]) == mean_interval([math.nan]) == Interval(None, None, None, 0)


def test_scenarios_weigh_alike_whatever_their_numbers_of_seeds() -> None:
    many, few = np.full((100, 1), 1.0), np.array([[0.0], [0.2]])
    found = mean_intervals([many, few])[0]
    assert found.mean == pytest.approx((1.0 + 0.1) / 2)
    assert (found.low, found.high) == pytest.approx(((1.0 + 0.0) / 2, (1.0 + 0.2) / 2))
    assert found.n == 102


def test_who_misses_a_scenario_has_no_mean_and_who_has_one_seed_there_no_interval() -> None:
    nan = math.nan
    first = np.array([[0.2, 0.2, 0.2], [0.4, 0.4, 0.4]])
    second = np.array([[0.6, 0.6, nan], [0.8, nan, nan]])
    found = mean_intervals([first, second])
    assert found[0].mean == pytest.approx(0.5)
    assert found[0].low is not None
    assert found[1] == Interval(pytest.approx(0.45), None, None, 3)
    assert found[2] == Interval(None, None, None, 2)
    assert mean_intervals([np.empty((0, 2))])[1] == Interval(None, None, None, 0)


def test_scenarios_are_resampled_apart() -> None:
    """Drawn alike, a scenario and its mirror image would have a mean that never moves."""
    values = np.array([[0.0], [0.1], [0.5], [0.9], [1.0]])
    found = mean_intervals([values, 1 - values])[0]
    assert found.mean == pytest.approx(0.5)
    assert found.low is not None
    assert found.low < 0.4


def test_numbers_are_the_same_bits_whatever_stands_beside_them() -> None:
    random = np.random.default_rng(0)
    strata = [random.random((n, 300)) for n in (9, 5)]
    strata[0][3:, ::3] = np.nan
    together = mean_intervals(strata)
    for column in (0, 1, 2, 17, 150, 298, 299):
        alone = mean_intervals([values[:, [column]] for values in strata])
        assert alone[0] == together[column]
    gaps = mean_intervals([np.insert(values, 2, np.nan, axis=0) for values in strata])
    assert [gaps[column] for column in range(300)] == [together[column] for column in range(300)]
    part = mean_intervals([values[:, 100:133] for values in strata])
    assert [part[column] for column in range(33)] == [together[column] for column in range(100, 133)]


@settings(deadline=None)
@given(SEEDS)
def test_an_interval_holds_the_mean_and_lies_within_the_values(values: list[float]) -> None:
    found = mean_interval(values)
    assert found.mean is not None
    assert found.low is not None
    assert found.high is not None
    assert min(values) - 1e-12 <= found.low <= found.mean + 1e-12
    assert found.mean - 1e-12 <= found.high <= max(values) + 1e-12


@settings(deadline=None)
@given(SEEDS, SEEDS)
def test_the_interval_of_a_difference_turned_round_is_the_other_ones(first: list[float], second: list[float]) -> None:
    differences = np.subtract(*(np.array(values[: min(len(first), len(second))]) for values in (first, second)))
    one, other = mean_interval(differences), mean_interval(-differences)
    assert (one.low, one.high) == (-other.high, -other.low)


@settings(deadline=None)
@given(SEEDS, st.floats(-5, 5), st.floats(0.01, 100))
def test_an_interval_moves_and_stretches_with_its_values(values: list[float], shift: float, scale: float) -> None:
    one, other = mean_interval(values), mean_interval([scale * value + shift for value in values])
    for part in ("mean", "low", "high"):
        assert getattr(other, part) == pytest.approx(scale * getattr(one, part) + shift, abs=1e-9)


# --- how far an interval can be trusted -------------------------------------------------------------------------------


@pytest.mark.parametrize("sizes", [(5,), (10,), (3, 3, 3)])
def test_of_nominal_95_percent_about_as_many_intervals_hold_the_truth(sizes: tuple[int, ...]) -> None:
    assert 0.91 < coverage(np.random.default_rng(11).standard_normal, sizes) < 0.97


def test_the_plain_percentiles_of_five_seeds_would_not() -> None:
    samples = np.random.default_rng(11).standard_normal((2000, 5))
    draws = np.random.default_rng(1).multinomial(5, [1 / 5] * 5, size=2000) / 5
    low, high = np.quantile(samples @ draws.T, [0.025, 0.975], axis=1)
    assert ((low <= 0) & (high >= 0)).mean() < 0.86


@pytest.mark.parametrize("sizes", [(3,), (4,), (2, 2), (2,) * 5, (5,), (3, 3), (3,) * 5])
def test_seeds_are_enough_where_some_nine_of_ten_intervals_hold_the_truth(sizes: tuple[int, ...]) -> None:
    covered = coverage(np.random.default_rng(0).standard_normal, sizes, samples=2000)
    assert enough(sizes) == (covered > 0.89)


def test_no_seeds_are_not_enough() -> None:
    assert not enough([])
    assert not enough([0])
    assert not enough([5, 0])
    assert not enough([50, 2])


# --- the interquartile mean -------------------------------------------------------------------------------------------


def test_the_interquartile_mean_is_the_one_that_rliable_published() -> None:
    """The cases of rliable's own tests (google-research/rliable, tests/rliable/metrics_test.py), of runs x tasks."""
    for scores, iqm in (([[1, 2], [2, 2], [1, 1], [2, 1]], 1.5), ([[1, 1], [2, 2], [3, 3]], 2.0)):
        assert interquartile_mean(list(np.array(scores, dtype=float).T)).mean == iqm


def test_the_interquartile_mean_by_hand() -> None:
    """Of 0, 1, 2, 3, 4, 50 one is left out at either end: (1 + 2 + 3 + 4) / 4."""
    found = interquartile_mean([np.array([50.0, 1.0, 3.0]), np.array([0.0, 4.0, 2.0])])
    assert found.mean == 2.5
    assert found.n == 6


@settings(deadline=None)
@given(st.lists(st.lists(st.floats(-1, 1, allow_subnormal=False), min_size=1, max_size=9), min_size=1, max_size=5))
@example([[0.5], [0.5], [1.0]])
def test_the_interquartile_mean_is_scipys_trimmed_mean(strata: list[list[float]]) -> None:
    found = interquartile_mean([np.array(values) for values in strata])
    assert found.mean == pytest.approx(trim_mean(list(itertools.chain(*strata)), 0.25), abs=1e-12)


@pytest.mark.parametrize("sizes", [(5,), (3, 3, 3), (5, 7, 2)])
def test_the_interval_of_the_interquartile_mean_is_that_of_resamples_written_out(sizes: tuple[int, ...]) -> None:
    random = np.random.default_rng(2)
    strata = [random.normal(k, 1, n).round(1) for k, n in enumerate(sizes)]
    means = resampled(strata, lambda samples: np.asarray(trim_mean(np.concatenate(samples, axis=1), 0.25, axis=1)))
    assert_ends(interquartile_mean(strata), means, sizes)


def test_the_interquartile_mean_of_too_little() -> None:
    one, two, none = np.array([0.5]), np.array([0.25, 0.75]), np.array([])
    assert interquartile_mean([one]) == Interval(0.5, None, None, 1)
    assert interquartile_mean([one, two]) == Interval(0.5, None, None, 3)
    assert interquartile_mean([two, none]) == Interval(None, None, None, 2)
    assert interquartile_mean([two]) == mean_interval(two)


def test_one_bad_scenario_moves_the_interquartile_mean_less_than_the_mean() -> None:
    good = [np.array([0.8, 0.82, 0.84]) + k / 100 for k in range(4)]
    bad = [*good[:3], good[3] - 0.7]
    iqms = [interquartile_mean(strata).mean or 0.0 for strata in (good, bad)]
    means = [mean_intervals([values[:, None] for values in strata])[0].mean or 0.0 for strata in (good, bad)]
    assert iqms[0] - iqms[1] < (means[0] - means[1]) / 5
