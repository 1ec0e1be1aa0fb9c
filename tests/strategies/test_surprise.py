"""Growth by surprise, and alarms alone, on a short stream without tasks whose first drift is near its 100th step."""

from __future__ import annotations

from functools import cache
from itertools import pairwise

import pytest
import torch
from avalanche.benchmarks import CLScenario
from torch import nn

from lifelong import Setup, load_scenario
from lifelong.errors import UsageError
from lifelong.plasticity import Event, Plasticity
from lifelong.records.spec import Budget
from lifelong.registry import scenarios, strategies

DETECTORS = ("", "-page-hinkley", "-adwin")
TRIGGERS = {"": "surprised", "-page-hinkley": "page-hinkley", "-adwin": "adwin"}


@cache
def stream() -> CLScenario:
    return load_scenario("drift-digits", steps=800, experiences=8, batch_size=16)


@cache
def trained(name: str, experiences: int = 2, **parameters: object) -> tuple[nn.Module, tuple[Event, ...]]:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 20), nn.ReLU(), nn.Linear(20, 10))
    setup = Setup(
        model, torch.optim.Adam(model.parameters(), 0.01), Budget(batch_size=16), protocol="task-free", experiences=8
    )
    strategy = strategies.get(name)(setup, **parameters)
    for experience in list(stream().train_stream)[:experiences]:
        strategy.train(experience, shuffle=False)
    events = [event for plugin in strategy.plugins if isinstance(plugin, Plasticity) for event in plugin.events]
    return strategy.model, tuple(events)


@pytest.mark.parametrize("detector", DETECTORS)
def test_an_abrupt_drift_makes_the_network_grow(detector: str) -> None:
    model, events = trained(f"surprise-growth{detector}")
    first = stream().drifts[0]
    soon = [event for event in events if first.start < event.step <= first.start + 20]
    assert [(event.trigger, event.operator, event.count) for event in soon] == [(TRIGGERS[detector], "grow", 2)]
    assert model[1].out_features == 20 + sum(event.count for event in events) <= 40


@pytest.mark.parametrize("detector", DETECTORS)
def test_alarms_alone_leave_training_as_it_is_bit_for_bit(detector: str) -> None:
    plain, _ = trained("naive")
    model, events = trained(f"surprise-alarm{detector}")
    assert all(torch.equal(a, b) for a, b in zip(plain.parameters(), model.parameters(), strict=True))
    first = stream().drifts[0]
    assert any(first.start < event.step <= first.start + 20 for event in events)
    assert {(event.trigger, event.count) for event in events} == {(TRIGGERS[detector], 0)}
    assert strategies.get(f"surprise-alarm{detector}").role == "control"


def test_the_named_forms_are_parameters_of_one() -> None:
    for name in ("surprise-growth", "surprise-alarm"):
        own = {key: value.default for key, value in strategies.get(name).parameters.items() if key != "trigger"}
        for detector in DETECTORS[1:]:
            named = strategies.get(name + detector)
            assert {key: value.default for key, value in named.parameters.items()} == own
    assert trained("surprise-growth", trigger="page-hinkley")[1] == trained("surprise-growth-page-hinkley")[1]


def test_a_cooldown_keeps_alarms_apart() -> None:
    alarms = [event.step for event in trained("surprise-alarm-page-hinkley", 8, cooldown=1)[1]]
    apart = [event.step for event in trained("surprise-alarm-page-hinkley", 8, cooldown=150)[1]]
    assert len(apart) < len(alarms)
    assert all(later - earlier >= 150 for earlier, later in pairwise(apart))


def test_they_need_nothing_that_a_stream_without_tasks_does_not_give() -> None:
    for name in ("surprise-growth", "surprise-alarm"):
        for detector in DETECTORS:
            assert strategies.get(name + detector).refusal(scenarios.get("drift-digits")) is None


def test_room_to_grow_is_asked_for_before_training() -> None:
    with pytest.raises(UsageError, match="leaves no room"):
        trained("surprise-growth", cap=1.0)
