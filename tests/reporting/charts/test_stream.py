"""One run over its training steps."""

from __future__ import annotations

import json

import pytest

from lifelong.records.entries import Event
from lifelong.reporting.charts.stream import MARKS, events, stream


def event(step, layer="fc1", operator="grow", before=100, after=130, **more):
    told = {"experience": 0, "trigger": "task-arrives", "count": 3, "value": 0.5} | more
    return Event(step=step, layer=layer, operator=operator, parameters_before=before, parameters_after=after, **told)


def of_kind(rows, kind):
    return [row for row in rows if row["kind"] == kind]


def test_accuracies_stand_at_the_end_of_their_experience(make_record):
    rows = of_kind(stream(make_record()), "accuracy")
    assert [(row["step"], row["experience"]) for row in rows] == [(10, 1), (20, 2), (30, 3)]
    assert [row["accuracy"] for row in rows] == pytest.approx([0.75, 0.8125, 17 / 24])


def test_a_run_that_trained_once_has_one_accuracy(make_record):
    record = make_record("joint", 0, [[0.0] * 3, [None] * 3, [None] * 3, [1.0, 0.5, 0.75]])
    record = record.model_copy(update={"capacity": [record.capacity[0], record.capacity[-1]]})
    assert of_kind(stream(record), "accuracy") == [
        {"kind": "accuracy", "step": 30, "experience": 3, "accuracy": pytest.approx(0.75)}
    ]


def test_an_event_is_on_the_curve_and_tells_what_changed(make_record):
    early, middle = events(make_record(events=[event(4), event(15, count=2, value=None)]))
    assert early["accuracy"] == 0.75
    assert middle["accuracy"] == pytest.approx((0.75 + 0.8125) / 2)
    assert middle == {
        "kind": "event",
        "step": 15,
        "trigger": "task-arrives",
        "layer": "fc1 (2)",
        "operator": "grow",
        "count": 2,
        "value": None,
        "events": 1,
        "parameters_before": 100,
        "parameters_after": 130,
        "accuracy": middle["accuracy"],
    }


def test_the_layers_of_one_act_share_a_mark(make_record):
    acts = [event(4, "fc1"), event(4, "fc2", before=130, after=150), event(4, "fc1", operator="remove")]
    grown, removed = events(make_record(events=acts))
    assert (grown["layer"], grown["count"], grown["events"], grown["value"]) == ("fc1 (3), fc2 (3)", 6, 2, 0.5)
    assert (grown["parameters_before"], grown["parameters_after"]) == (100, 150)
    assert removed["operator"] == "remove"
    many = events(make_record(events=[event(4, f"fc{k}") for k in range(9)]))
    assert many[0]["layer"] == "fc0 (3), fc1 (3), fc2 (3), fc3 (3) and 5 more"


def test_thousands_of_events_become_hundreds_of_marks_and_none_is_lost(make_record):
    acts = [event(step, operator=operator) for step in range(5000) for operator in ("grow", "remove")]
    rows = events(make_record(events=acts))
    assert MARKS / 4 < len(rows) <= MARKS
    assert sum(row["count"] for row in rows) == 3 * len(acts)
    assert sum(row["events"] for row in rows) == len(acts)
    assert [row["step"] for row in rows] == sorted(row["step"] for row in rows)


def test_as_many_kinds_as_events_cannot_be_summed(make_record):
    acts = [event(1, operator=f"operator-{k}") for k in range(MARKS + 5)]
    assert len(events(make_record(events=acts))) == MARKS + 5


def test_capacity_changes_where_events_change_it(make_record):
    acts = [event(4, before=100, after=150), event(4, "fc2", before=150, after=170), event(25, before=170, after=103)]
    record = make_record(events=acts)
    same = [
        one.model_copy(update={"parameters": p}) for one, p in zip(record.capacity, (100, 170, 170, 103), strict=True)
    ]
    rows = of_kind(stream(record.model_copy(update={"capacity": same})), "capacity")
    assert [(row["step"], row["parameters"]) for row in rows] == [(0, 100), (4, 170), (25, 103), (30, 103)]


def test_a_constant_capacity_is_a_line_from_end_to_end(make_record):
    record = make_record()
    same = [one.model_copy(update={"parameters": 100}) for one in record.capacity]
    rows = of_kind(stream(record.model_copy(update={"capacity": same})), "capacity")
    assert [(row["step"], row["parameters"]) for row in rows] == [(0, 100), (30, 100)]


def test_without_accuracies_or_capacity_there_is_no_curve(make_record):
    failed = make_record(accuracy=None, status="failed", events=[event(4)])
    assert of_kind(stream(failed), "accuracy") == []
    assert events(failed)[0]["accuracy"] is None
    bare = make_record().model_copy(update={"capacity": []})
    assert stream(bare) == []


def test_every_row_is_json(make_record):
    rows = stream(make_record(events=[event(4), event(4, "fc2", value=None)]))
    assert json.loads(json.dumps(rows, allow_nan=False)) == rows
