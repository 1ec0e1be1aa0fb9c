"""Surprise equals formulas in numpy and values by hand; river's detectors notice what they should, and only that."""

from __future__ import annotations

import cloudpickle
import numpy as np
import pytest

from lifelong.errors import UsageError
from lifelong.plasticity.moment import MomentKind
from lifelong.plasticity.triggers import Adwin, PageHinkley, Surprised

DETECTORS = [Surprised, PageHinkley, Adwin]


def stream(*levels, length=200, deviation=0.2, seed=0):
    """Return losses around one level after the other."""
    drawn = np.random.default_rng(seed)
    return np.concatenate([drawn.normal(level, deviation, length) for level in levels]).tolist()


@pytest.fixture
def surprises(fired):
    return lambda trigger, losses: fired(trigger, losses, kind=MomentKind.STEP)


def test_surprised_by_hand(surprises):
    # 1, 2, 1, 2: mean 1.5, deviation 0.5. 3.1 and 3.2 are 3.2 and 3.4 deviations above: the second in a row fires.
    found = surprises(Surprised(batches=2, warm_up=4), [1, 2, 1, 2, 3.1, 3.2])
    assert found == {5: pytest.approx(3.4)}


def test_a_row_is_broken_by_one_batch_as_usual(surprises):
    assert surprises(Surprised(batches=2, warm_up=4), [1, 2, 1, 2, 3.1, 1.5, 3.1, 1.5, 3.1]) == {}


def test_surprised_does_not_judge_before_it_is_warm_or_while_it_is_refractory(surprises):
    losses = [1, 2, 1, 9, 9]
    assert surprises(Surprised(batches=1, warm_up=5), losses) == {}
    assert list(surprises(Surprised(batches=1, warm_up=3), losses)) == [3]
    # after the firing all is learnt anew, from the level of then: 10 batches later the same jump counts again
    losses = [1, 2, 1, 2, 9, *[1, 2] * 5, 9]
    assert list(surprises(Surprised(batches=1, warm_up=4, refractory=10), losses)) == [4, 15]
    assert list(surprises(Surprised(batches=1, warm_up=4, refractory=12), losses)) == [4]
    losses = [*[1, 2] * 6, 9, *[1, 2] * 5, 9]
    assert list(surprises(Surprised(batches=1, warm_up=10, refractory=0), losses)) == [12, 23]
    assert list(surprises(Surprised(batches=1, warm_up=11, refractory=0), losses)) == [12]


def test_the_least_deviation_keeps_what_is_known_by_heart_from_surprising(surprises):
    losses = [*[0.001, 0.002] * 20, 0.02, 0.02]
    assert surprises(Surprised(batches=1), losses) == {}
    assert 40 in surprises(Surprised(batches=1, least=1e-4), losses)


def closed_form(losses, threshold, batches, refractory, memory, warm_up, least):
    """Compute the same from the definition: weighted means over all batches learnt from, each time anew."""
    found, learnt, row, wait = {}, [], 0, warm_up
    for number, loss in enumerate(losses):
        z = -np.inf
        if len(learnt) >= wait:
            weights = np.ones(1)
            for count in range(2, len(learnt) + 1):
                weight = 1 / min(count, memory)
                weights = np.append(weights * (1 - weight), weight)
            mean = np.average(learnt, weights=weights)
            deviation = np.average((learnt - mean) ** 2, weights=weights) ** 0.5
            z = (loss - mean) / max(deviation, least)
        if z <= threshold:
            learnt, row = [*learnt, loss], 0
            continue
        row += 1
        if row == batches:
            found[number] = pytest.approx(z)
            learnt, row, wait = [], 0, max(warm_up, refractory)
    return found


@pytest.mark.parametrize("seed", range(3))
def test_surprised_is_the_closed_form(surprises, seed):
    parameters = {"threshold": 2.0, "batches": 2, "refractory": 40, "memory": 25, "warm_up": 20, "least": 0.05}
    losses = stream(2, 3, 1, 2, 1, 3, length=80, seed=seed)
    expected = closed_form(losses, **parameters)
    assert len(expected) >= 2
    assert surprises(Surprised(**parameters), losses) == expected


def page_hinkley(losses, threshold, delta, warm_up):
    """Compute by the definition how far the sum of x_i - mean_i - delta stands above its lowest value."""
    found, since = {}, 0
    for number, loss in enumerate(losses):
        seen = np.array(losses[since : number + 1])
        means = np.cumsum(seen) / np.arange(1, len(seen) + 1)
        sums = np.cumsum(seen - means - delta)
        if len(seen) >= warm_up and sums[-1] - sums.min() > threshold:
            found[number] = loss
            since = number + 1
    return found


@pytest.mark.parametrize("seed", range(3))
def test_page_hinkley_is_its_definition(surprises, seed):
    parameters = {"threshold": 3.0, "delta": 0.05, "warm_up": 20}
    losses = stream(2, 3, 1, 2, seed=seed)
    expected = page_hinkley(losses, **parameters)
    assert expected
    assert surprises(PageHinkley(**parameters), losses) == expected


@pytest.mark.parametrize("detector", DETECTORS)
def test_a_rise_is_noticed_soon_and_nothing_else(surprises, detector):
    assert surprises(detector(), stream(1, 1)) == {}
    assert surprises(detector(), stream(3, 1)) == {}
    found = list(surprises(detector(), stream(1, 3)))
    assert found
    assert 200 <= found[0] < 220
    falling = (0.3 + 2 * np.exp(-np.arange(2000) / 100) + np.random.default_rng(1).normal(0, 0.05, 2000)).tolist()
    assert surprises(detector(), falling) == {}


@pytest.mark.parametrize("detector", DETECTORS)
def test_a_checkpoint_in_the_middle_changes_nothing(surprises, detector):
    losses = stream(1, 3, 1, 3)
    expected = surprises(detector(), losses)
    trigger, found = detector(), {}
    for start in range(0, len(losses), 57):
        trigger = cloudpickle.loads(cloudpickle.dumps(trigger))
        part = surprises(trigger, losses[start : start + 57])
        found |= {start + number: value for number, value in part.items()}
    assert found == expected
    assert len(found) >= 2


@pytest.mark.parametrize("detector", DETECTORS)
def test_other_moments_and_losses_that_are_not_finite_are_passed_over(at, surprises, detector):
    losses = stream(1, 3)
    expected = surprises(detector(), losses)
    trigger, found = detector(), {}
    for number, loss in enumerate(losses):
        for moment in (
            at(MomentKind.START, loss=9.0),
            at(MomentKind.EPOCH, loss=9.0),
            at(loss=float("nan")),
            at(loss=float("inf")),
        ):
            assert trigger.fires(moment) is None
        if firing := trigger.fires(at(loss=loss)):
            found[number] = firing.value
    assert found == expected


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Surprised(threshold=0),
        lambda: Surprised(batches=0),
        lambda: Surprised(refractory=-1),
        lambda: Surprised(memory=1),
        lambda: Surprised(warm_up=1),
        lambda: Surprised(least=0),
        lambda: PageHinkley(threshold=0),
        lambda: PageHinkley(delta=-0.1),
        lambda: PageHinkley(warm_up=0),
        lambda: Adwin(delta=0),
        lambda: Adwin(delta=1),
        lambda: Adwin(warm_up=0),
    ],
)
def test_out_of_range(wrong):
    with pytest.raises(UsageError):
        wrong()
