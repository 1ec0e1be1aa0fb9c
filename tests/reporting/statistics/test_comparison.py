"""Paired comparisons: against scipy's tests, cases worked by hand, and their own mirror images."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import t, ttest_ind, ttest_rel

from lifelong.records.record import Record
from lifelong.reporting.statistics.bootstrap import Interval, mean_interval
from lifelong.reporting.statistics.comparison import ALL, Comparison, adjusted, compare, holm, superiority
from lifelong.reporting.statistics.scores import Contest, contests

Make = Callable[..., Record]
Scores = Mapping[str, Sequence[float | None]]
Arrange = Callable[..., list[Contest]]

PAIR = [("a", "b")]
MIRRORED = {"better": "worse", "worse": "better"}


@pytest.fixture
def arrange(from_average: Make) -> Arrange:
    """Contests from average accuracies by strategy, each of seed 0, 1, 2 ...; None where a seed has no record."""

    def arranged(**scenarios: Scores) -> list[Contest]:
        return contests(
            [
                from_average(strategy, seed, value, scenario=scenario)
                for scenario, scores in scenarios.items()
                for strategy, values in scores.items()
                for seed, value in enumerate(values)
                if value is not None
            ],
            {},
        )

    return arranged


def comparison(p: float | None, verdict: str = "better", scenario: str = "digits") -> Comparison:
    one = Comparison(scenario, "forgetting", "a", "b", Interval(0.1, 0.05, 0.15, 5), 1.0, 0.5, p, "better")
    return replace(one, verdict=verdict)  # type: ignore[arg-type]


A, B = [0.62, 0.565, 0.71, 0.66, 0.58, 0.69], [0.51, 0.57, 0.60, 0.59, 0.44, 0.68]


def test_a_comparison_is_the_mean_of_paired_differences_with_its_interval(arrange: Arrange) -> None:
    (found,) = compare(arrange(digits={"a": A, "b": B}), "average_accuracy", PAIR)
    differences = np.array(A) - np.array(B)
    assert (found.scenario, found.metric, found.first, found.second) == ("digits", "average_accuracy", "a", "b")
    assert found.difference == mean_interval(differences)
    assert found.p == pytest.approx(ttest_rel(A, B).pvalue, rel=1e-12)
    assert found.improvement == pytest.approx(5 / 6)
    assert found.verdict == "better"


def test_the_effect_size_by_hand(arrange: Arrange) -> None:
    """Differences 1, 2, 3, 4, 5 hundredths: mean 3, deviation sqrt(10 / 4); corrected by 1 - 3 / (4 x 4 - 1) = 0.8."""
    (found,) = compare(arrange(digits={"a": [0.51, 0.52, 0.53, 0.54, 0.55], "b": [0.5] * 5}), "average_accuracy", PAIR)
    assert found.effect == pytest.approx(3 / math.sqrt(2.5) * 0.8, rel=1e-9)


def test_two_scenarios_together_by_hand(arrange: Arrange) -> None:
    """Differences of 0.1, 0.2, 0.3, 0.4 (mean 0.25, squared error 0.05 / 12) and of 0.1, 0.3 (mean 0.2, 0.02 / 2).

    The mean of both is 0.225, its standard error sqrt(0.0141667) / 2. Satterthwaite's degrees of freedom are
    0.0141667^2 / (0.0041667^2 / 3 + 0.01^2 / 1) = 1.8971. The deviation within scenarios is sqrt((0.05 + 0.02) / 4),
    of four degrees of freedom, so that Hedges' correction is 0.8.
    """
    field = arrange(one={"a": [0.6, 0.7, 0.8, 0.9], "b": [0.5] * 4}, two={"a": [0.3, 0.5], "b": [0.2, 0.2]})
    one, two, both = compare(field, "average_accuracy", PAIR)
    assert [one.scenario, two.scenario, both.scenario] == ["one", "two", ALL]
    assert both.difference.mean == pytest.approx(0.225)
    assert both.difference.n == 6
    assert both.p == pytest.approx(2 * t.sf(0.225 / (math.sqrt(0.01416667) / 2), 1.89715), rel=1e-4)
    assert both.effect == pytest.approx(0.225 / math.sqrt(0.07 / 4) * 0.8)
    # a mean of two means is a difference of two, one turned round: Welch's test
    first, second = [0.1, 0.2, 0.3, 0.4], [-0.1, -0.3]
    assert both.p == pytest.approx(ttest_ind(first, second, equal_var=False).pvalue, rel=1e-9)


def test_the_probability_of_improvement_counts_pairs_and_ties_half(arrange: Arrange) -> None:
    field = arrange(
        one={"a": [0.6, 0.5, 0.4, 0.9], "b": [0.5, 0.5, 0.5, 0.5]},  # two of four, and a tie: 2.5 / 4
        two={"a": [0.1, 0.2], "b": [0.2, 0.1]},  # one of two
    )
    found = compare(field, "average_accuracy", PAIR)
    assert [one.improvement for one in found] == pytest.approx([2.5 / 4, 0.5, (2.5 / 4 + 0.5) / 2])


@pytest.mark.parametrize("seed", range(12))
def test_turned_round_a_comparison_is_its_mirror_image(arrange: Arrange, seed: int) -> None:
    random = np.random.default_rng(seed)
    scores = {name: {"a": random.random(5), "b": random.random(5) * (0.4, 1.0)[seed % 2]} for name in ("one", "two")}
    field = arrange(**scores)
    there = compare(field, "average_accuracy", [("a", "b")])
    back = compare(field, "average_accuracy", [("b", "a")])
    assert len(there) == len(back) == 3
    for one, other in zip(there, back, strict=True):
        assert one.difference.mean == pytest.approx(-other.difference.mean)
        assert one.p == pytest.approx(other.p)
        assert one.effect == pytest.approx(-(other.effect or 0))
        assert one.improvement == pytest.approx(1 - other.improvement)
        assert one.difference.low == pytest.approx(-other.difference.high, abs=1e-12)
        assert MIRRORED.get(one.verdict, one.verdict) == other.verdict


def test_less_is_better_where_less_is_better(make_record: Make) -> None:
    lost = {"keeps": [0.10, 0.12, 0.08, 0.11, 0.09], "loses": [0.4, 0.5, 0.45, 0.3, 0.6]}
    records = [
        make_record(name, seed, [[0.0, 0.0], [0.9, 0.0], [0.9 - forgetting, 0.5]])
        for name, values in lost.items()
        for seed, forgetting in enumerate(values)
    ]
    (found,) = compare(contests(records, {}), "forgetting", [("keeps", "loses")])
    assert found.difference.mean == pytest.approx(0.1 - 0.45)
    assert (found.verdict, found.by_interval, found.improvement) == ("better", "better", 1.0)
    (accuracy,) = compare(contests(records, {}), "average_accuracy", [("loses", "keeps")])
    assert (accuracy.verdict, accuracy.improvement) == ("worse", 0.0)


def test_only_seeds_that_both_have_are_compared(arrange: Arrange, make_record: Make, from_average: Make) -> None:
    field = arrange(digits={"a": [0.9, 0.6, 0.7, None], "b": [None, 0.5, 0.5, 0.1]})
    (found,) = compare(field, "average_accuracy", PAIR)
    assert found.difference == mean_interval([0.6 - 0.5, 0.7 - 0.5])
    failed = make_record("a", 0, None, status="failed", error="Traceback")
    records = [failed, *(from_average(name, seed, 0.5 + seed / 10) for name in "ab" for seed in (1, 2))]
    (found,) = compare(contests(records, {}), "average_accuracy", PAIR)
    assert (found.difference.n, found.verdict) == (2, "same")


def test_a_pair_without_shared_seeds_is_left_out(arrange: Arrange) -> None:
    field = arrange(
        one={"a": [0.5, None], "b": [None, 0.5], "c": [0.1, 0.2]},
        two={"a": [0.5, 0.6], "b": [0.1, 0.2]},
    )
    pairs = [("a", "b"), ("a", "c"), ("b", "c"), ("a", "nobody")]
    told = [(one.scenario, one.first, one.second) for one in compare(field, "average_accuracy", pairs)]
    assert told == [("one", "a", "c"), ("one", "b", "c"), ("two", "a", "b")]
    assert compare(field, "forgetting", pairs) == []
    assert compare(field, "average_accuracy", []) == []


def test_strategies_that_agree_in_every_seed_are_the_same(arrange: Arrange) -> None:
    for values in ([0.5], [0.5, 0.6], A):
        (found,) = compare(arrange(digits={"a": values, "b": values}), "average_accuracy", PAIR)
        assert (found.verdict, found.improvement, found.effect) == ("same", 0.5, None)
        assert found.difference.mean == 0
        assert found.p == (None if len(values) == 1 else 1.0)


def test_a_difference_by_rounding_alone_is_none(arrange: Arrange) -> None:
    assert 0.1 + 0.2 != 0.3
    field = arrange(digits={"a": [0.1 + 0.2] * 5, "b": [0.3] * 5})
    assert [one.verdict for one in compare(field, "average_accuracy", PAIR)] == ["same"]
    assert not superiority([np.array([[0.1 + 0.2, 0.3]])], higher_is_better=True).any()
    # differences of 0.1, which rounding makes vary: no effect of a million deviations
    (found,) = compare(
        arrange(digits={"a": [0.2, 0.3, 0.4, 0.8, 1.0], "b": [0.1, 0.2, 0.3, 0.7, 0.9]}), "average_accuracy", PAIR
    )
    assert (found.verdict, found.effect) == ("better", None)


def test_fewer_than_five_seeds_are_too_few_to_tell(arrange: Arrange) -> None:
    a, b = [0.9, 0.8, 0.85, 0.95, 0.9], [0.1, 0.2, 0.15, 0.1, 0.12]
    for n, verdict in ((1, "too few seeds"), (2, "too few seeds"), (4, "too few seeds"), (5, "better")):
        (found,) = compare(arrange(digits={"a": a[:n], "b": b[:n]}), "average_accuracy", PAIR)
        assert found.verdict == verdict
        assert (found.p is None) == (n == 1)
        assert found.by_interval == (None if n == 1 else "better"), "what the interval alone says"
        assert found.difference.n == n
    field = arrange(one={"a": a[:3], "b": b[:3]}, two={"a": a[:3], "b": b[:3]})
    verdicts = [one.verdict for one in compare(field, "average_accuracy", PAIR)]
    assert verdicts == ["too few seeds", "too few seeds", "better"]


def test_seeds_that_disagree_tell_nothing(arrange: Arrange) -> None:
    (found,) = compare(arrange(digits={"a": [0.6, 0.4, 0.7, 0.5, 0.3], "b": [0.5] * 5}), "average_accuracy", PAIR)
    assert (found.verdict, found.by_interval) == ("cannot tell", None)
    assert found.difference.low is not None
    assert found.difference.high is not None
    assert found.difference.low < 0 < found.difference.high


# --- many comparisons at once -----------------------------------------------------------------------------------------


def test_holm_by_hand() -> None:
    """0.005 x 4, 0.01 x 3, 0.03 x 2, and 0.04 x 1, which may not fall below 0.06."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([0.02]) == [0.02]


@settings(deadline=None)
@given(st.lists(st.floats(0, 1) | st.sampled_from([0.0, 0.01, 0.5]), min_size=1, max_size=6))
def test_holm_is_bonferroni_on_every_subset(p_values: list[float]) -> None:
    """The closed test: a hypothesis falls where each set that it is in falls by Bonferroni's correction."""
    indices = range(len(p_values))
    subsets = [set(chosen) for n in range(1, len(p_values) + 1) for chosen in itertools.combinations(indices, n)]
    closed = [
        max(min(1.0, len(subset) * min(p_values[i] for i in subset)) for subset in subsets if index in subset)
        for index in indices
    ]
    assert holm(p_values) == pytest.approx(closed)


def test_a_verdict_that_chance_could_give_among_so_many_falls() -> None:
    found = adjusted([comparison(0.001), comparison(0.03, "worse"), comparison(0.02), comparison(0.9, "cannot tell")])
    assert [one.p for one in found] == pytest.approx([0.004, 0.06, 0.06, 0.9])
    assert [one.verdict for one in found] == ["better", "cannot tell", "cannot tell", "cannot tell"]
    assert adjusted([comparison(0.04, "worse")])[0].verdict == "worse"
    assert adjusted([comparison(0.5, "too few seeds")])[0].verdict == "too few seeds"
    assert adjusted([]) == []


def test_each_scenario_is_a_family_and_what_has_no_p_is_in_none() -> None:
    found = adjusted(
        [comparison(0.02), comparison(None, "too few seeds"), comparison(0.04, scenario="other"), comparison(0.03)]
    )
    assert [one.p for one in found] == [pytest.approx(0.04), None, 0.04, pytest.approx(0.04)]


# --- who is better than whom ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scenarios", [1, 2])
@pytest.mark.parametrize("seed", range(3))
def test_superiority_is_the_verdict_of_each_pair(arrange: Arrange, seed: int, scenarios: int) -> None:
    random = np.random.default_rng(seed)
    strata = [random.random((12, 6)) * 0.6 + np.linspace(0, 0.4, 6) for _ in range(scenarios)]
    for values in strata:
        values[random.random(values.shape) < 0.1] = np.nan
    names = "abcdef"
    scores = {
        f"scenario{k}": {
            name: [None if math.isnan(value) else value for value in values[:, column]]
            for column, name in enumerate(names)
        }
        for k, values in enumerate(strata)
    }
    pairs = list(itertools.permutations(names, 2))
    last = "scenario0" if scenarios == 1 else ALL
    found = [one for one in compare(arrange(**scores), "average_accuracy", pairs) if one.scenario == last]
    assert "too few seeds" not in {one.verdict for one in found}
    better = superiority(strata, higher_is_better=True)
    told = {(one.first, one.second) for one in found if one.verdict == "better"}
    assert told == {(names[i], names[j]) for i, j in np.argwhere(better)}
    assert 0 < len(told) < 15, "some can be told apart, and some cannot"
    assert (superiority(strata, higher_is_better=False) == better.T).all()
    assert (superiority([-values for values in strata], higher_is_better=False) == better).all()


def test_superiority_needs_shared_seeds_on_every_scenario() -> None:
    nan = math.nan
    one = np.array([[0.9, 0.1, nan], [0.8, 0.2, nan], [nan, nan, 0.5]])
    two = np.array([[0.9, 0.1, 0.1], [0.8, 0.2, 0.2], [0.9, 0.1, 0.1]])
    assert np.argwhere(superiority([one], True)).tolist() == [[0, 1]]
    assert np.argwhere(superiority([one, two], True)).tolist() == [[0, 1]]
    assert np.argwhere(superiority([two], True)).tolist() == [[0, 1], [0, 2]]
    assert superiority([np.empty((0, 2))], True).tolist() == [[False, False], [False, False]]
    assert superiority([np.empty((3, 0))], True).shape == (0, 0)
