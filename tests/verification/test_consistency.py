"""A record that contradicts itself is told from one that does not."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from lifelong.records.record import Record
from lifelong.records.sources import records_in
from lifelong.registry import board_file, scenarios, strategies
from lifelong.verification.consistency import contradictions

Make = Callable[..., Record]
Content = dict[str, Any]


def event(step: int, before: int, after: int, experience: int = 0) -> Content:
    sizes = {"parameters_before": before, "parameters_after": after}
    told = {"trigger": "t", "layer": "l", "operator": "grow", "count": 1}
    return {"step": step, "experience": experience, **told, **sizes}


@pytest.fixture
def grown(sound: Make) -> Content:
    """Of three experiences of ten steps, 100 parameters that become 110 and 130 in the first, 120 in the last."""
    content: Content = json.loads(sound().to_json())
    for index, parameters in enumerate((100, 130, 130, 120)):
        content["capacity"][index] |= {"parameters": parameters, "average_parameters": 110}
    content["events"] = [event(3, 100, 110), event(10, 110, 130), event(25, 130, 120, experience=2)]
    return content


def told(content: Content, **known: Any) -> list[str]:
    return contradictions(Record.model_validate(content), **known)


def changed(content: Content, path: str, value: Any) -> Content:
    content = copy.deepcopy(content)
    *way, last = (int(part) if part.isdecimal() else part for part in path.split("."))
    target: Any = content
    for part in way:
        target = target[part]
    target[last] = value
    return content


def test_what_runs_leave_holds(sound: Make, grown: Content) -> None:
    for strategy, offline in (("naive", False), ("joint", True)):
        assert contradictions(sound(strategy), "all", offline) == []
        assert contradictions(sound(strategy)) == []
    assert told(grown) == []


@pytest.mark.parametrize("board", ["digits-v1", "mnist-v1"])
def test_what_is_published_holds(board: str) -> None:
    records = [located.record for located in records_in(board_file(board).parent / "results" / f"{board}.jsonl.gz")]
    assert len(records) > 400
    for record in records:
        assert record is not None
        scenario, strategy = (scenarios.get(record.spec.scenario.name), strategies.get(record.spec.strategy.name))
        assert contradictions(record, scenario.scored, strategy.offline) == []


@pytest.mark.parametrize(
    ("path", "value", "why"),
    [
        ("learning", [], "learning: 0 entries, where 3 trainings leave 3"),
        ("times.eval_s", [1.0], "times.eval_s: 1 entries, where 3 trainings leave 4"),
        ("accuracy.2.1", None, "R[2, 2] is missing"),
        ("capacity.0.steps", 1, "capacity.0.steps = 1 before any training"),
        ("capacity.2.samples", 5, "capacity.2.samples = 5 falls below 10"),
        ("capacity.1.training_macs", 10**9, "capacity.2.training_macs = 6000 falls below 1000000000"),
        ("capacity.1.live_parameters", 131, "capacity.1.live_parameters is above parameters"),
        ("capacity.1.live_macs", 101, "capacity.1.live_macs is above macs"),
        ("capacity.3.average_parameters", 131.0, "capacity.3.average_parameters is not between"),
        ("capacity.3.average_parameters", 99.0, "capacity.3.average_parameters is not between"),
        ("events.0.step", 11, "events.0 at step 11 is not within experience 0"),
        ("events.1.step", 2, "events.1 is out of order"),
        ("events.2.experience", 3, "events.2 is of experience 3, of 3 from 0"),
        ("events.2.experience", 1, "events.2 at step 25 is not within experience 1"),
        ("events.0.parameters_before", 90, "90 parameters are changed, after 100 were left"),
        ("events.1.parameters_before", 105, "at step 10 105 parameters are changed, after 110 were left"),
        ("events.2.parameters_after", 125, "experience 2 ends with 120 parameters, after 125 were left"),
        ("drifts", [{"start": 9, "end": 31, "kind": "abrupt"}], "drifts.0 is out of order"),
    ],
)
def test_what_cannot_be_is_told(grown: Content, path: str, value: Any, why: str) -> None:
    found = told(changed(grown, path, value))
    assert found
    assert any(why in sentence for sentence in found)


def test_a_new_head_may_come_before_the_first_event(grown: Content) -> None:
    later = changed(changed(grown, "events.2.parameters_before", 140), "events.2.parameters_after", 120)
    assert told(later) == []


def test_two_plug_ins_may_change_a_network_in_one_step(grown: Content) -> None:
    """Their events are told one plug-in after the other, while the acts of an epoch and of its end alternated."""
    first, second = [event(10, 100, 110), event(10, 115, 120)], [event(10, 110, 115), event(10, 120, 130)]
    last = event(25, 130, 120, experience=2)
    assert told(grown | {"events": [*first, *second, last]}) == []
    assert told(grown | {"events": [*second, *first, last]}) == []
    assert told(grown | {"events": [event(3, 100, 110), event(10, 120, 130), event(10, 110, 120), last]}) == []


def test_which_test_sets_are_evaluated(sound: Make) -> None:
    diagonal = [[None] * 3, [0.5, None, None], [None, 0.5, None], [None, None, 0.5]]
    record = sound(accuracy=diagonal)
    assert contradictions(record, "current", False) == []
    assert contradictions(record) == []
    assert contradictions(record, "all", False) == ["R[0, 1] is missing"]
    assert contradictions(sound(), "current", False) == ["R[0, 1] cannot have been evaluated"]
    assert contradictions(sound("joint"), "all", False) != []
    regression = sound(accuracy=[[None] * 3] * 4)
    assert contradictions(regression, "nothing", False) == contradictions(regression) == []
    assert contradictions(regression, "all", False) == ["R[0, 1] is missing"]
    assert contradictions(sound(), "nothing", False) == ["R[0, 1] cannot have been evaluated"]


def test_what_failed_claims_nothing(sound: Make) -> None:
    assert contradictions(sound(status="failed", accuracy=None, capacity=[]), "all", False) == []


def test_a_record_full_of_mistakes_is_told_in_few_words(grown: Content) -> None:
    events = [event(10**6, 100, 100)] * 10_000
    assert len(told(grown | {"events": events})) <= 10
