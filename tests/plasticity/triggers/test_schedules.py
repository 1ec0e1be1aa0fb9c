"""Triggers that look at time alone fire at moments counted by hand, the random one with its probability."""

from __future__ import annotations

import pytest
import torch

from lifelong.errors import UsageError
from lifelong.plasticity.moment import MomentKind
from lifelong.plasticity.triggers import AtSteps, Every, Randomly, TaskArrives

EXPERIENCE = [
    MomentKind.START,
    MomentKind.STEP,
    MomentKind.STEP,
    MomentKind.EPOCH,
    MomentKind.STEP,
    MomentKind.STEP,
    MomentKind.EPOCH,
    MomentKind.END,
]


def fired(at, trigger, experiences):
    return [number for number, kind in enumerate(EXPERIENCE * experiences) if trigger.fires(at(kind)) is not None]


def test_task_arrives(at):
    assert fired(at, TaskArrives(), 3) == [8, 16]
    assert fired(at, TaskArrives(first=True), 3) == [0, 8, 16]


@pytest.mark.parametrize(
    ("every", "expected"),
    [({"steps": 3}, [4, 10, 17, 21]), ({"epochs": 2}, [6, 14, 22]), ({"experiences": 2}, [15])],
)
def test_every(at, every, expected):
    assert fired(at, Every(**every), 3) == expected


def test_at_steps(at):
    trigger = AtSteps([2, 5, 5])
    moments = [at(step=step) for step in range(1, 8)]
    assert [moment.step for moment in moments if trigger.fires(moment)] == [2, 5]
    assert trigger.fires(at(MomentKind.EPOCH, step=5)) is None


def test_randomly_fires_as_often_as_it_says_and_draws_from_the_moment(at):
    def fires(seed):
        generator, trigger = torch.Generator().manual_seed(seed), Randomly(0.2)
        return [trigger.fires(at(generator=generator)) is not None for _ in range(2000)]

    before = torch.random.get_rng_state()
    first = fires(0)
    assert abs(sum(first) - 400) < 4 * (2000 * 0.2 * 0.8) ** 0.5
    assert first == fires(0)
    assert first != fires(1)
    assert torch.equal(before, torch.random.get_rng_state())


def test_randomly_draws_at_steps_alone(at):
    generator = torch.Generator().manual_seed(0)
    state = generator.get_state()
    for kind in (MomentKind.START, MomentKind.EPOCH, MomentKind.END):
        assert Randomly(1.0).fires(at(kind, generator=generator)) is None
    assert torch.equal(state, generator.get_state())


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Every(),
        lambda: Every(steps=0),
        lambda: Every(steps=1, epochs=1),
        lambda: AtSteps([]),
        lambda: AtSteps([0, 10]),
        lambda: Randomly(0.0),
        lambda: Randomly(1.5),
    ],
)
def test_out_of_range(wrong):
    with pytest.raises(UsageError):
        wrong()
