"""Runs done again: which are chosen, and what their results say of the records."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lifelong.errors import UsageError
from lifelong.records.record import Record
from lifelong.records.store import Store
from lifelong.running.launch import Options
from lifelong.verification.rerun import TOLERANCE, choose, compare, rerun
from lifelong.verification.verify import verify

Make = Callable[..., Record]


def elsewhere(record: Record, **changes: Any) -> Record:
    return record.model_copy(update={"provenance": record.provenance.model_copy(update=changes)})


def moved(record: Record, by: float) -> Record:
    assert record.accuracy is not None
    R = [[entry if entry is None else entry + by for entry in row] for row in record.accuracy]
    return record.model_copy(update={"accuracy": R})


def test_on_the_same_machine_only_bits_will_do(sound: Make) -> None:
    record = sound()
    assert compare(record, record).verdict == "identical"
    other = compare(record, moved(record, 1e-9))
    assert (other.verdict, other.same_place) == ("differs", True)
    assert other.difference == pytest.approx(1e-9, rel=1e-3)
    larger = [entry.model_copy(update={"parameters": 101}) for entry in record.capacity]
    assert compare(record, record.model_copy(update={"capacity": larger})).verdict == "differs"
    event = {"step": 3, "experience": 0, "trigger": "t", "layer": "l", "operator": "o", "count": 1}
    acted = sound(events=[event | {"parameters_before": 1, "parameters_after": 1}])
    assert compare(record, acted).verdict == "differs"


@pytest.mark.parametrize(
    "change", [{"cpu": "another"}, {"commit": "another"}, {"versions": {"torch": "1"}}, {"device": "cuda:0"}]
)
def test_elsewhere_a_tolerance_holds(sound: Make, change: dict[str, Any]) -> None:
    record = elsewhere(sound(), **change)
    for by, verdict in ((0.0, "identical"), (TOLERANCE * 0.99, "within tolerance"), (TOLERANCE * 1.01, "differs")):
        found = compare(record, moved(sound(), by))
        assert (found.verdict, found.same_place) == (verdict, False)


def test_what_fails_now_is_told(sound: Make) -> None:
    found = compare(sound(), sound(status="timeout", accuracy=None, error="too late"))
    assert (found.verdict, found.reason) == ("failed", "timeout: too late")


def test_what_is_missing_now_differs(sound: Make) -> None:
    found = compare(elsewhere(sound(), cpu="another"), sound(accuracy=[[None] * 3, *[[0.4] * 3] * 3]))
    assert (found.verdict, found.difference) == ("differs", float("inf"))


def test_by_chance_or_by_key(everything: Path, sound: Make) -> None:
    plans = verify(everything).plans.values()
    assert len({cell.spec.key for _, cell in choose(plans, 4) if cell.spec}) == 4
    assert len(choose(plans, 100)) == 6
    drawn = {cell.spec.key for _ in range(120) for _, cell in choose(plans, 1) if cell.spec}
    assert len(drawn) == 6, "by chance, each is drawn at some time (it fails once in 500 million times)"
    key = sound("replay", 1).key
    assert [cell.record for _, cell in choose(plans, 1, [key[:12]])] == [sound("replay", 1)]
    with pytest.raises(UsageError, match="--key 'x'"):
        choose(plans, 1, [key, "x"])
    with pytest.raises(UsageError, match="--key ''"):
        choose(plans, 1, [""])


def test_a_run_of_other_settings_is_chosen(sound: Make, tmp_path: Path) -> None:
    spec = sound("replay").spec
    strategy = spec.strategy.model_copy(update={"parameters": spec.strategy.parameters | {"mem_size": 7}})
    changed = spec.model_copy(update={"strategy": strategy})
    Store(tmp_path, "toy-v1").write(sound("replay", spec=changed, key=changed.key))
    ((_, cell),) = choose(verify(tmp_path).plans.values(), 1)
    assert cell.spec == changed


@pytest.mark.parametrize("part", ["strategy", "scenario", "model"])
@pytest.mark.parametrize(
    "change",
    [
        {"code_sha256": "0" * 64},
        {"version": 7},
        {"name": "unknown"},
        {"parameters": {"mem_size": "many"}},
        {"parameters": {"mem_size": 200, "more": 1}},
        {"parameters": {}},
    ],
)
def test_what_cannot_be_run_is_not_chosen(sound: Make, tmp_path: Path, part: str, change: dict[str, Any]) -> None:
    """Values that the installed function would refuse, or that it is not this function, are never tried."""
    spec = sound("replay").spec
    changed = spec.model_copy(update={part: getattr(spec, part).model_copy(update=change)})
    Store(tmp_path, "toy-v1").write(sound("replay", spec=changed, key=changed.key))
    Store(tmp_path, "toy-v1").write(sound("naive", status="failed", accuracy=None))
    with pytest.raises(UsageError, match="none of these runs can be done again"):
        choose(verify(tmp_path).plans.values(), 1)


@pytest.mark.slow
def test_a_record_that_was_made_up_differs(everything: Path, sound: Make) -> None:
    heard = []
    chosen = choose(verify(everything).plans.values(), 1, [sound("replay", 1).key, sound("joint", 0).key])
    found = rerun(chosen, Options(wandb="off", device="cpu"), heard.append)
    assert [one.verdict for one in found] == ["differs", "differs"]
    assert sorted(one.record.spec.strategy.name for one in heard) == ["joint", "replay"]
