"""Convergence, stall, drop and gap on losses and accuracies that were worked out by hand."""

from __future__ import annotations

import pytest

from lifelong.errors import UsageError
from lifelong.plasticity.moment import MomentKind
from lifelong.plasticity.triggers import Converged, Dropped, ShortOf, Stalled

START = None
"""Among values, this says that an experience starts."""


def as_steps(values):
    """Show a trigger two batches for each value, which is their mean."""
    return [START if value is START else value + noise for value in values for noise in (-0.1, 0.1)][: 2 * len(values)]


def test_converged_by_hand(fired):
    # smoothed: 1, .8, .65, .575, .5375; differences: .2, .15, .075, .0375; a tenth: .08, .065, .0575, .05375
    losses = [1.0, 0.6, 0.5, 0.5, 0.5]
    assert fired(Converged(delta=0.1), losses) == {4: pytest.approx(0.0375)}
    assert list(fired(Converged(delta=0.1, relative=False), losses)) == [3, 4]
    assert fired(Converged(delta=0.05, relative=False, smoothing=0), losses) == {3: 0.0, 4: 0.0}
    assert fired(Converged(), losses) == {}
    assert fired(Converged(delta=0.105, smoothing=0), [1.0, 0.9]) == {}  # .1 against .0945


def test_converged_by_windows(fired):
    losses = [0.9, 1.1, 0.5, 0.7, 0.5, 0.5, 0.4, 0.6, 0.5, 0.5]
    assert fired(Converged(delta=0.1, steps=2), losses, MomentKind.STEP) == {9: pytest.approx(0.0375)}


def test_an_experience_that_starts_is_not_compared_with_the_former(fired):
    losses = [1.0, 0.5, START, 0.5, 0.5]
    assert list(fired(Converged(delta=0.05, smoothing=0), losses)) == [4]
    steps = [1.0, 1.0, 0.5, START, 0.5, 0.5, 0.5, 0.5, 0.5]
    assert list(fired(Converged(delta=0.05, smoothing=0, steps=2), steps, MomentKind.STEP)) == [7]
    hidden = [loss for loss in steps if loss is not START]
    assert list(fired(Converged(delta=0.05, smoothing=0, steps=2), hidden, MomentKind.STEP)) == [5, 7]


def test_one_loss_that_is_not_finite_does_not_end_the_judging(fired):
    losses = [1.0, float("inf"), 1.0, 1.0, 1.0]
    assert list(fired(Converged(delta=0.05), losses)) == [3, 4]


def test_stalled_by_hand(fired):
    # best: 1, .9; .8995 is too small a gain, .95 none: fires. .9 none, .89 a gain, .8 a gain, then none twice: fires.
    losses = [1.0, 0.9, 0.8995, 0.95, 0.9, 0.89, 0.8, 0.8, 0.8]
    assert fired(Stalled(patience=2), losses) == {3: 0.95, 8: 0.8}
    assert fired(Stalled(patience=3), losses) == {4: 0.9}
    mirrored = [1 - loss for loss in losses]
    assert list(fired(Stalled("accuracy", patience=2), mirrored, of="accuracy")) == [3, 8]
    assert list(fired(Stalled("accuracy", patience=1, gain=0.15), mirrored, of="accuracy")) == [1, 2, 3, 4, 5, 7, 8]


def test_stalled_by_windows_is_stalled_by_epochs(fired):
    losses = [1.0, 0.9, 0.8995, 0.95, 0.9, 0.89, 0.8, 0.8, 0.8]
    found = fired(Stalled(patience=2, steps=2), as_steps(losses), MomentKind.STEP)
    assert found == {7: pytest.approx(0.95), 17: pytest.approx(0.8)}


def test_the_best_of_a_former_experience_does_not_count(fired):
    assert list(fired(Stalled(patience=2), [0.1, START, 2.0, 1.9, 1.8, 1.8, 1.8])) == [6]


def test_dropped_by_hand(fired):
    accuracies = [0.5, 0.6, 0.6, 0.7, 0.65, START, 0.2, 0.3, 0.25]
    expected = {2: 0.0, 4: pytest.approx(-0.05), 8: pytest.approx(-0.05)}
    assert fired(Dropped(), accuracies, of="accuracy") == expected
    steps = as_steps([0.5, 0.6, 0.7, 0.65, 0.66])
    assert list(fired(Dropped(steps=2), steps, MomentKind.STEP, of="accuracy")) == [7]


def test_short_of_holds_at_every_moment_from_the_first_period_on(at):
    moments = [
        (at(MomentKind.START), None),
        (at(accuracy=0.1), None),
        (at(MomentKind.EPOCH, accuracy=0.5), 0.5),
        (at(accuracy=1.0), 0.5),
        (at(MomentKind.EPOCH, accuracy=0.9), None),
        (at(accuracy=0.1), None),
        (at(MomentKind.EPOCH, accuracy=0.8), 0.8),
        (at(MomentKind.END, accuracy=0.8), 0.8),
        (at(MomentKind.START, accuracy=0.8), 0.8),  # the former experience ended short of the goal
        (at(accuracy=0.1), None),
        (at(MomentKind.EPOCH, accuracy=0.95), None),
    ]
    trigger = ShortOf(accuracy=0.9)
    assert [getattr(trigger.fires(moment), "value", None) for moment, _ in moments] == [value for _, value in moments]


def test_short_of_by_windows(fired):
    losses = [0.5, 0.1, 0.0, 0.2, 0.4, 0.4, 0.0, 0.0]
    expected = {1: 0.3, 2: 0.3, 5: 0.4, 6: 0.4}
    assert fired(ShortOf(loss=0.1, steps=2), losses, MomentKind.STEP) == pytest.approx(expected)


def test_both_conditions_of_dropin(at):
    trigger = Converged(delta=0.05, smoothing=0) & ShortOf(accuracy=0.9)
    epochs = [(1.0, 0.5), (0.5, 0.7), (0.5, 0.8), (0.5, 0.95)]
    found = [trigger.fires(at(MomentKind.EPOCH, loss=loss, accuracy=accuracy)) for loss, accuracy in epochs]
    assert [firing is not None for firing in found] == [False, False, True, False]


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Converged(delta=0),
        lambda: Converged(smoothing=1),
        lambda: Converged(steps=0),
        lambda: Stalled("gradient"),
        lambda: Stalled(gain=-1),
        lambda: Stalled(patience=0),
        lambda: Dropped(steps=0),
        lambda: ShortOf(),
        lambda: ShortOf(accuracy=0.9, loss=0.1),
        lambda: ShortOf(accuracy=90),
        lambda: ShortOf(loss=-1),
    ],
)
def test_out_of_range(wrong):
    with pytest.raises(UsageError):
        wrong()


def test_epochs_need_boundaries_and_windows_do_not():
    for make in (Converged, Stalled, Dropped, lambda **given: ShortOf(loss=0.1, **given)):
        assert make().needs == {"task boundaries"}
        assert len(make().reads) == 1
        assert make(steps=10).needs == make(steps=10).reads == frozenset()
