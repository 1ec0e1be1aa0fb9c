"""Schedules give the shares that were worked out by hand."""

from __future__ import annotations

import pytest

from lifelong.errors import UsageError
from lifelong.plasticity.amounts import Cosine, Cubic, UntilDrop
from lifelong.plasticity.moment import MomentKind


@pytest.fixture
def shares(trainee):
    """Return the shares at some steps."""

    def of(schedule, steps):
        made = trainee()
        found = []
        for made.step in steps:
            found.append(schedule.share(made.moment()))
        return found

    return of


def test_the_cubic_of_zhu_and_gupta(shares):
    """The share goes from 0 to .8 in 100 steps from the 50th on: .8 (1 - (1 - p)^3) at p = 0, 1/4, 1/2, 3/4, 1."""
    found = shares(Cubic(0.8, steps=100, begin=50), [0, 50, 75, 100, 125, 150, 999])
    assert found == pytest.approx([0, 0, 0.4625, 0.7, 0.7875, 0.8, 0.8])


def test_a_cubic_that_falls_is_the_density_of_what_the_rising_one_prunes(shares):
    steps = range(0, 120, 7)
    density = shares(Cubic(0.2, steps=100, initial=0.9), steps)
    sparsity = shares(Cubic(0.8, steps=100, initial=0.1), steps)
    assert density == pytest.approx([1 - share for share in sparsity])


def test_the_cosine_of_rigl(shares):
    """The share is .3 / 2 (1 + cos(pi p)) at p = 0, 1/3, 1/2, 2/3, 1, and after that."""
    found = shares(Cosine(0.3, steps=300), [0, 100, 150, 200, 300, 400])
    assert found == pytest.approx([0.3, 0.225, 0.15, 0.075, 0, 0])


def test_until_accuracy_drops_and_then_for_good(trainee):
    made, schedule = trainee(), UntilDrop(0.1, tolerance=0.05)
    assert schedule.reads == {"accuracy"}
    assert schedule.share(made.moment(MomentKind.EPOCH)) == 0.1  # of an accuracy nothing is known yet
    accuracies = [0.50, 0.80, 0.76, 0.90, 0.851, 0.849, 0.99]  # the sixth is more than .05 below .90
    found = [schedule.share(made.moment(MomentKind.EPOCH, averages={"accuracy": value})) for value in accuracies]
    assert found == [0.1, 0.1, 0.1, 0.1, 0.1, 0.0, 0.0]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Cubic(0.0, 10), r"Cubic: final = 0.0 is not in \(0, 1\]"),
        (lambda: Cubic(0.5, 0), "Cubic: steps = 0; the least is 1"),
        (lambda: Cubic(0.5, 10, begin=-1), "Cubic: begin = -1; the least is 0"),
        (lambda: Cubic(0.5, 10, initial=1.5), r"Cubic: initial = 1.5 is not in \[0, 1\]"),
        (lambda: Cosine(1.2, 10), r"Cosine: initial = 1.2 is not in \(0, 1\]; the nearest is 1.0"),
        (lambda: Cosine(0.2, 0), "Cosine: steps = 0"),
        (lambda: UntilDrop(0.0), "UntilDrop: each = 0.0"),
        (lambda: UntilDrop(0.1, 1.0), "UntilDrop: tolerance = 1.0"),
    ],
)
def test_arguments_out_of_range(make, message):
    with pytest.raises(UsageError, match=message):
        make()
