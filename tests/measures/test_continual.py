"""The measures against a matrix worked by hand, against plain loops, and against what must always hold."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lifelong.measures import continual
from lifelong.measures.continual import METRICS, validate

NAN = float("nan")
# Three experiences. Just after learning: 0.8, 0.7, 0.9. The second is at its best after the third.
R = np.array(
    [
        [0.10, 0.20, 0.30],
        [0.80, 0.25, 0.30],
        [0.60, 0.70, 0.40],
        [0.50, 0.75, 0.90],
    ]
)


def test_a_matrix_worked_by_hand():
    expected = {
        "average_accuracy": (0.50 + 0.75 + 0.90) / 3,
        "anytime_average": (0.80 + (0.60 + 0.70) / 2 + (0.50 + 0.75 + 0.90) / 3) / 3,
        "forgetting": ((0.80 - 0.50) + (0.70 - 0.75)) / 2,
        "backward_transfer": ((0.50 - 0.80) + (0.75 - 0.70)) / 2,
        "forward_transfer": ((0.25 - 0.20) + (0.40 - 0.30)) / 2,
        "learning_accuracy": (0.80 + 0.70 + 0.90) / 3,
    }
    assert {name: METRICS[name](R) for name in expected} == pytest.approx(expected)


def test_curves_worked_by_hand():
    assert continual.average_so_far(R) == pytest.approx([0.80, 0.65, 2.15 / 3])
    assert continual.forgetting_so_far(R) == pytest.approx([NAN, 0.20, 0.125], nan_ok=True)
    assert continual.forgetting_by_experience(R) == pytest.approx([0.80 - 0.50, 0.70 - 0.75])
    assert continual.backward_transfer_so_far(R) == pytest.approx([NAN, -0.20, -0.125], nan_ok=True)


def test_intransigence_compares_what_was_just_learned():
    reference = R.copy()
    reference[1, 0], reference[2, 1], reference[3, 2] = 0.9, 0.9, 0.8
    reference[3, 0] = 0.0  # not just learned, so of no matter
    assert continual.intransigence(R, reference) == pytest.approx((0.1 + 0.2 - 0.1) / 3)
    assert METRICS["intransigence"](R, reference) == continual.intransigence(R, reference)
    assert math.isnan(METRICS["intransigence"](R))
    with pytest.raises(ValueError, match="shape"):
        continual.intransigence(R, reference[:3, :2])


def test_the_best_accuracy_may_come_before_an_experience_is_learned():
    ahead = R.copy()
    ahead[1, 1] = 0.95
    assert continual.forgetting(ahead) == pytest.approx(((0.80 - 0.50) + (0.95 - 0.75)) / 2)


def test_one_experience_has_only_what_needs_no_second():
    values = {name: metric(np.array([[0.1], [0.6]])) for name, metric in METRICS.items()}
    defined = {name: value for name, value in values.items() if not math.isnan(value)}
    assert defined == pytest.approx(dict.fromkeys(("average_accuracy", "anytime_average", "learning_accuracy"), 0.6))


def test_joint_training_has_an_average_accuracy_and_nothing_over_time():
    joint = R.copy()
    joint[1:-1] = NAN
    defined = [name for name, metric in METRICS.items() if not math.isnan(metric(joint, R))]
    assert defined == ["average_accuracy"]


def test_separate_heads_have_no_accuracy_before_an_experience_is_learned():
    heads = R.copy()
    heads[np.triu_indices(3)] = NAN
    for name in ("average_accuracy", "anytime_average", "forgetting", "backward_transfer", "learning_accuracy"):
        assert METRICS[name](heads) == pytest.approx(METRICS[name](R)), name
    assert math.isnan(METRICS["forward_transfer"](heads))


# Each metric, and an entry that it cannot do without.
@pytest.mark.parametrize(
    ("name", "entry"),
    [
        ("average_accuracy", (3, 0)),
        ("anytime_average", (2, 1)),
        ("forgetting", (2, 0)),
        ("forgetting", (2, 1)),
        ("forgetting", (3, 1)),
        ("backward_transfer", (1, 0)),
        ("forward_transfer", (0, 2)),
        ("forward_transfer", (1, 1)),
        ("learning_accuracy", (3, 2)),
        ("intransigence", (2, 1)),
    ],
)
def test_a_missing_entry_is_not_averaged_away(name, entry):
    holed = R.copy()
    holed[entry] = NAN
    assert math.isnan(METRICS[name](holed, R))
    assert not math.isnan(METRICS[name](R, R))


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((3, 3)),
        np.zeros((2, 3)),
        np.zeros(3),
        np.zeros((1, 0)),
        [[0.5, 0.5], [0.5], [0.5, 0.5]],
        [[0.5], [1.01]],
        [[-0.01], [0.5]],
        [[0.5], [math.inf]],
        [[50.0], [90.0]],
    ],
)
def test_what_is_no_accuracy_matrix_is_refused(wrong):
    with pytest.raises(ValueError, match=r"shape|fraction"):
        validate(wrong)


def test_null_becomes_nan():
    assert validate([[None], [0.5]]) == pytest.approx(np.array([[NAN], [0.5]]), nan_ok=True)


matrices = st.integers(1, 6).flatmap(
    lambda T: arrays(np.float64, (T + 1, T), elements=st.floats(0, 1, allow_subnormal=False))
)
longer = matrices.filter(lambda R: R.shape[1] > 1)


def reference_values(R):
    """The same formulas as loops over experiences counted from one."""
    T = R.shape[1]

    def a(i, j):
        return R[i, j - 1]

    def forgotten(k):
        return sum(max(a(i, j) for i in range(1, k)) - a(k, j) for j in range(1, k)) / (k - 1)

    return {
        "average_accuracy": sum(a(T, j) for j in range(1, T + 1)) / T,
        "anytime_average": sum(sum(a(i, j) for j in range(1, i + 1)) / i for i in range(1, T + 1)) / T,
        "forgetting": forgotten(T),
        "backward_transfer": sum(a(T, j) - a(j, j) for j in range(1, T)) / (T - 1),
        "forward_transfer": sum(a(j - 1, j) - a(0, j) for j in range(2, T + 1)) / (T - 1),
        "learning_accuracy": sum(a(j, j) for j in range(1, T + 1)) / T,
    }


@given(longer)
def test_metrics_agree_with_plain_loops(R):
    expected = reference_values(R)
    assert {name: METRICS[name](R) for name in expected} == pytest.approx(expected, abs=1e-12)


@given(matrices)
def test_ranges(R):
    for name, metric in METRICS.items():
        value = metric(R, R[::-1])
        lowest = 0 if name in {"average_accuracy", "anytime_average", "learning_accuracy"} else -1
        assert math.isnan(value) or lowest - 1e-12 <= value <= 1 + 1e-12, name


@given(longer)
def test_nothing_is_forgotten_by_less_than_what_transfer_took(R):
    assert continual.forgetting(R) >= -continual.backward_transfer(R) - 1e-12


@given(longer, st.randoms(use_true_random=False))
def test_the_end_does_not_depend_on_how_experiences_are_numbered(R, random):
    order = random.sample(range(R.shape[1]), R.shape[1])
    assert continual.average_accuracy(R[:, order]) == pytest.approx(continual.average_accuracy(R), abs=1e-12)
    # What is forgotten of the first T - 1 experiences does not depend on their numbering either.
    order = [*random.sample(range(R.shape[1] - 1), R.shape[1] - 1), R.shape[1] - 1]
    assert continual.forgetting(R[:, order]) == pytest.approx(continual.forgetting(R), abs=1e-12)


@given(matrices)
def test_curves_end_where_the_metrics_are(R):
    for curve, metric in (
        (continual.average_so_far, continual.average_accuracy),
        (continual.forgetting_so_far, continual.forgetting),
        (continual.backward_transfer_so_far, continual.backward_transfer),
    ):
        assert curve(R).shape == (R.shape[1],)
        assert curve(R)[-1] == pytest.approx(metric(R), nan_ok=True)


@given(longer, longer)
def test_the_past_of_a_curve_does_not_see_the_future(R, other):
    T = min(R.shape[1], other.shape[1])
    changed = other[: T + 1, :T].copy()
    changed[:T, : T - 1] = R[:T, : T - 1]
    for curve in (continual.average_so_far, continual.forgetting_so_far, continual.backward_transfer_so_far):
        assert curve(changed)[: T - 1] == pytest.approx(curve(R)[: T - 1], nan_ok=True)


@given(matrices)
def test_a_learner_that_equals_its_reference_is_not_intransigent(R):
    assert continual.intransigence(R, R) == 0
