"""What is read off a record, on records small enough to read it off by eye."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from lifelong.measures.continual import METRICS, validate
from lifelong.records.entries import Capacity, Drift, Event, Learning, Provenance, Times
from lifelong.records.metrics import RUN_METRICS
from lifelong.records.record import Record
from lifelong.records.spec import Budget, Choice, Spec

SPEC = Spec(scenario=Choice(name="s"), strategy=Choice(name="m"), model=Choice(name="mlp"), budget=Budget(), seed=0)
EXPERIENCES = 20
PROVENANCE = Provenance(started_utc="", versions={}, commit=None, machine="", cpu="", device="cpu", threads=1)


def capacity(i: int) -> Capacity:
    return Capacity(
        parameters=100 + i,
        live_parameters=50 + i,
        average_parameters=90.5 + i,
        units=5,
        macs=90,
        live_macs=45,
        training_macs=1000 * i,
        steps=500 * i,
        samples=100 * i,
    )


def event(step: int, operator: str, count: int) -> Event:
    return Event(
        step=step,
        experience=0,
        trigger="Surprised",
        layer="0",
        operator=operator,
        count=count,
        parameters_before=1,
        parameters_after=1,
    )


def record(**more: Any) -> Record:
    content: dict[str, Any] = {
        "schema": 1,
        "key": SPEC.key,
        "board": "b",
        "spec": SPEC,
        "status": "ok",
        "accuracy": [[None] * EXPERIENCES] * (EXPERIENCES + 1),
        "capacity": [capacity(i) for i in range(EXPERIENCES + 1)],
        "learning": [
            Learning(online_loss=2.0 - i / 10, online_accuracy=i / 20, dormant_units=i / 40, effective_rank=30.0 - i)
            for i in range(EXPERIENCES)
        ],
        "times": Times(train_s=[0.5] * EXPERIENCES),
        "provenance": PROVENANCE,
    }
    return Record.model_validate({**content, **more})


def value(name: str, of: Record) -> float:
    return RUN_METRICS[name](of, validate(of.accuracy or []))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("final_parameters", 120),
        ("live_parameters", 70),
        ("average_parameters", 110.5),
        ("training_macs", 20_000),
        ("train_s", 10.0),
        ("online_accuracy", 9.5 / 20),
        ("last_online_accuracy", 18.5 / 20),  # two of twenty experiences
        ("online_loss", 1.05),
        ("last_online_loss", 0.15),
        ("dormant_units", 19 / 40),
        ("effective_rank", 11.0),
        ("grown_units", 0),
        ("removed_units", 0),
        ("reset_units", 0),
    ],
)
def test_numbers_read_off_a_record(name: str, expected: float) -> None:
    assert value(name, record()) == pytest.approx(expected)


def test_units_are_counted_by_operator() -> None:
    events = [event(1, "grow", 3), event(1, "grow", 4), event(2, "split", 1), event(3, "reset", 5)]
    found = record(events=[*events, event(4, "remove", 6), event(5, "merge", 1), event(6, "prune-synapses", 100)])
    assert [value(name, found) for name in ("grown_units", "removed_units", "reset_units")] == [8, 7, 5]


def test_events_are_alarms() -> None:
    drifts = [Drift(start=1000, end=1000, kind="abrupt"), Drift(start=6000, end=6200, kind="gradual")]
    # one between the drifts; two at one step are one; the second of a drift is neither right nor wrong
    events = [event(step, "mark", 0) for step in (1040, 1040, 1100, 3000, 6160)]
    found = record(drifts=drifts, events=events)
    assert value("detection_delay", found) == (40 + 160) / 2
    stationary = 10_000 - 200 - 400
    assert value("false_alarms", found) == pytest.approx(10_000 / stationary)
    silent = record(drifts=drifts)
    assert math.isnan(value("detection_delay", silent))
    assert value("false_alarms", silent) == 0
    assert value("missed_drifts", silent) == len(silent.drifts)


def test_what_a_record_does_not_have_is_not_made_up() -> None:
    bare = record(capacity=[], learning=[], times=Times())
    undefined = {name for name in RUN_METRICS if math.isnan(value(name, bare))}
    assert undefined == set(RUN_METRICS) - {"train_s", "grown_units", "removed_units", "reset_units"}
    gap = record(learning=[Learning(online_accuracy=0.5), Learning()])
    assert math.isnan(value("online_accuracy", gap))
    # a run that made other updates than the stream has batches
    drifted = record(drifts=[Drift(start=20_000, end=20_000, kind="abrupt")])
    assert math.isnan(value("false_alarms", drifted))


def test_metrics_of_the_matrix_are_the_same_numbers() -> None:
    R = [[0.5, 0.25], [0.75, 0.5], [0.25, 1.0]]
    found, reference = record(accuracy=R), np.array([[0.5, 0.5], [1.0, 0.5], [1.0, 1.0]])
    for name, metric in METRICS.items():
        assert RUN_METRICS[name](found, validate(R), reference) == metric(validate(R), reference)
        assert RUN_METRICS[name].formula == metric.formula
