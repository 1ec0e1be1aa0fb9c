"""The curves of W&B runs: one axis, and the same keys for all."""

import pytest

from lifelong.plasticity import operators
from lifelong.plasticity.names import shown
from lifelong.records.entries import Event
from lifelong.reporting.wandb import view
from lifelong.reporting.wandb.record import log_record

STRUCTURE = (
    "events",
    "grow",
    "split",
    "remove",
    "merge",
    "reset",
    "freeze",
    "unfreeze",
    "mark",
    "prune_synapses",
    "create_synapses",
    "reset_synapses",
    "insert_layer",
    "remove_layer",
    "other",
)


@pytest.fixture
def logged(directory, read_back):
    """Log a record, and read back what was logged."""

    def log(record, **more):
        log_record(record, mode="offline", directory=directory, **more)
        return read_back(record)

    return log


def capacity_after(i):
    return {
        "capacity/parameters": 100 + i,
        "capacity/live_parameters": 50 + i,
        "capacity/average_parameters": 100 + i / 2,
        "capacity/units": 10 + i,
        "capacity/macs": 90 + i,
        "capacity/live_macs": 45 + i,
        "capacity/training_macs": 1000 * i,
        "capacity/steps": 10 * i,
        "capacity/samples": 100 * i,
    }


NOTHING_CHANGED = {f"structure/{name}": 0 for name in STRUCTURE}


def test_one_row_of_history_for_each_experience(make_record, logged):
    found = logged(make_record())
    assert found.steps == [0, 1, 2, 3]
    assert found.rows == [
        {
            "experience": 0,
            "stream/first_accuracy": 0.5,
            "stream/next_accuracy": 0.5,
            **capacity_after(0),
            **NOTHING_CHANGED,
            "time/eval_s": 0.25,
        },
        {
            "experience": 1,
            "stream/average_accuracy": 0.75,
            "stream/current_accuracy": 0.75,
            "stream/first_accuracy": 0.75,
            "stream/next_accuracy": 0.5,
            **capacity_after(1),
            "learning/online_loss": pytest.approx(1 / 1),
            "learning/online_accuracy": 1 / 10,
            **NOTHING_CHANGED,
            "time/train_s": 2.0,
            "time/eval_s": 0.25,
        },
        {
            "experience": 2,
            "stream/average_accuracy": (0.625 + 1.0) / 2,
            "stream/forgetting": 0.75 - 0.625,
            "stream/backward_transfer": 0.625 - 0.75,
            "stream/current_accuracy": 1.0,
            "stream/first_accuracy": 0.625,
            "stream/next_accuracy": 0.5,
            **capacity_after(2),
            "learning/online_loss": pytest.approx(1 / 2),
            "learning/online_accuracy": 2 / 10,
            **NOTHING_CHANGED,
            "time/train_s": 2.0,
            "time/eval_s": 0.25,
        },
        {
            "experience": 3,
            "stream/average_accuracy": pytest.approx((0.5 + 0.75 + 0.875) / 3),
            "stream/forgetting": ((0.75 - 0.5) + (1.0 - 0.75)) / 2,
            "stream/backward_transfer": ((0.5 - 0.75) + (0.75 - 1.0)) / 2,
            "stream/current_accuracy": 0.875,
            "stream/first_accuracy": 0.5,
            **capacity_after(3),
            "learning/online_loss": pytest.approx(1 / 3),
            "learning/online_accuracy": 3 / 10,
            **NOTHING_CHANGED,
            "time/train_s": 2.0,
            "time/eval_s": 0.25,
        },
    ]
    axes = {metric["glob_name"]: metric["step_metric"] for metric in found.entries["metric"] if "glob_name" in metric}
    assert axes == {f"{name.split('/')[0]}/*": "experience" for row in found.rows for name in row if "/" in name}


def event(step, experience, operator, count, before, after, **more):
    return Event(
        step=step,
        experience=experience,
        trigger="TaskArrives",
        layer="fc1",
        operator=operator,
        count=count,
        parameters_before=before,
        parameters_after=after,
        **more,
    )


def test_every_event_is_in_the_run(make_record, logged):
    events = [
        event(0, 0, "grow", 3, 100, 130),
        event(10, 1, "grow", 2, 130, 150, value=0.5, loss_before=2.0, loss_after=1.5, note="clipped"),
        event(12, 1, "grow", 1, 150, 160),
        event(12, 1, "prune-synapses", 4, 160, 160),
        event(20, 2, "an operator of one's own", 7, 160, 160),
    ]
    found = logged(make_record(events=events))
    table = found.table("events")
    assert table["columns"][:3] == ["step", "experience", "trigger"]
    assert table["data"][1] == [10, 1, "TaskArrives", 0.5, "fc1", "grow", 2, 130, 150, 2.0, 1.5, "clipped"]
    assert len(table["data"]) == 5
    expected = {"events": [0, 1, 3, 1], "grow": [0, 3, 3, 0], "prune_synapses": [0, 0, 4, 0], "other": [0, 0, 0, 7]}
    for name in STRUCTURE:
        assert [row[f"structure/{name}"] for row in found.rows] == expected.get(name, [0, 0, 0, 0])
    assert found.summary["structural_events"] == found.summary["structural_events_shown"] == 5
    assert found.summary["grown_units"] == 6


def test_of_very_many_events_the_table_has_the_first(make_record, logged):
    events = [event(step, 0, "reset", 1, 100, 100) for step in range(10_001)]
    found = logged(make_record(events=events))
    assert found.summary["structural_events"] == 10_001
    assert found.summary["structural_events_shown"] == len(found.table("events")["data"]) == 10_000
    assert found.table("events")["data"][-1][0] == 9_999
    assert found.rows[1]["structure/reset"] == 10_001


def test_each_operator_has_a_key():
    """One that is missing here would be counted among the others."""
    found = {shown(object.__new__(one)) for one in vars(operators).values() if _is_operator(one)}
    assert found == set(view.OPERATORS)
    assert {name.replace("-", "_") for name in found} == set(STRUCTURE) - {"events", "other"}


def _is_operator(one):
    return isinstance(one, type) and issubclass(one, operators.Operator) and one is not operators.Operator


def test_all_runs_have_the_same_keys(make_record):
    """What one lacks is not defined for it, whatever its events."""
    joint = make_record("joint", 0, [[0.1, 0.1], [None, None], [0.9, 0.8]])
    trainings = {"capacity": joint.capacity[:2], "learning": joint.learning[:1]}
    times = joint.times.model_copy(update={"train_s": [2.0], "eval_s": [0.25, 0.25]})
    joint = joint.model_copy(update={**trainings, "times": times})
    full = [[0.1, 0.1], [0.9, 0.1], [0.9, 0.8]]
    runs = [joint, make_record("naive", 0, full), make_record("grown", 0, full, events=[event(0, 1, "grow", 1, 1, 2)])]
    rows = [list(view.history(run)) for run in runs]
    keys = [{name for row in found for name in row} for found in rows]
    assert keys[1] == keys[2]
    undefined = {"stream/forgetting", "stream/backward_transfer"}
    assert keys[0] == keys[1] - undefined
    summaries = [{*view.summary(run), *view.tables(run)} for run in runs]
    assert summaries[1] == summaries[2]
    assert {"average_accuracy", "structural_events", "accuracy", "events"} <= summaries[0] <= summaries[1]
    assert [row["experience"] for row in rows[0]] == [0, 1, 2]
    assert rows[0][2]["capacity/steps"] == 10  # its one training ends with the stream
    assert "capacity/steps" not in rows[0][1]
