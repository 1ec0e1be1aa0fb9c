"""Records: what is written is what is read, whole or not at all, and nothing else is believed."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifelong.records import record as records_module
from lifelong.records.provenance import provenance
from lifelong.records.record import Record, json_schema, read
from lifelong.records.spec import Budget, Choice, Spec
from lifelong.records.store import Store, set_aside, write_whole

SPEC = Spec(
    scenario=Choice(name="toy", parameters={"experiences": 2}),
    strategy=Choice(name="ewc", parameters={"ewc_lambda": 0.5}),
    model=Choice(name="mlp", parameters={"widths": [32]}),
    budget=Budget(),
    seed=3,
)
MATRIX: list[list[float | None]] = [[0.5, None], [1.0, 0.25], [0.1, 1 / 3]]


def make(**changes: Any) -> Record:
    content = {"schema": 1, "key": SPEC.key, "board": "b", "spec": SPEC, "status": "ok", "accuracy": MATRIX}
    return Record.model_validate({**content, "provenance": provenance("cpu"), **changes})


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    record = make()
    path = Store(tmp_path, "b").write(record)
    assert path == tmp_path / "b/toy/ewc" / f"3-{SPEC.key[:12]}.json"
    assert read(path) == record
    assert [file.name for file in tmp_path.rglob("*") if file.is_file()] == [path.name]


@given(st.lists(st.lists(st.none() | st.floats(0, 1), min_size=2, max_size=2), min_size=3, max_size=3))
def test_accuracies_come_back_bit_for_bit(matrix: list[list[float | None]]) -> None:
    record = make(accuracy=matrix)
    assert Record.model_validate_json(record.to_json()).accuracy == matrix


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"key": "0" * 64}, "the key is not the hash of the specification"),
        ({"accuracy": None}, "a run that is ok has its accuracies"),
        ({"accuracy": MATRIX[:2]}, "not a (T + 1) x T matrix"),
        ({"accuracy": [[0.5, 2.0], *MATRIX[1:]]}, "accuracy.0.1: "),
        ({"accuracy": [[0.5, float("nan")], *MATRIX[1:]]}, "accuracy.0.1: "),
        ({"status": "fine"}, "status: "),
        ({"schema": 2}, "schema: "),
        ({"comment": "mine"}, "comment: "),
        ({"peak_memory_mb": -1}, "peak_memory_mb: "),
        ({"learning": [{"online_accuracy": 1.5}]}, "learning.0.online_accuracy: "),
        ({"drifts": [{"start": 1, "end": 2, "kind": "slow"}]}, "drifts.0.kind: "),
    ],
)
def test_what_is_no_record_is_refused_with_the_reason(tmp_path: Path, change: dict[str, Any], why: str) -> None:
    path = tmp_path / "r.json"
    path.write_text(json.dumps(json.loads(make().to_json()) | change))
    with pytest.raises(ValueError, match=f"^.*{re.escape(why)}.*$"):  # no second line
        read(path)


def test_the_key_is_that_of_the_content_and_not_of_its_order() -> None:
    turned = Spec.model_validate(dict(reversed(SPEC.model_dump().items())))
    assert turned.key == SPEC.key
    assert SPEC.model_copy(update={"seed": 4}).key != SPEC.key


def test_the_published_schema_is_that_of_the_code() -> None:
    published = Path(records_module.__file__).with_name("record.schema.json")
    assert published.read_text() == json_schema()


def test_a_write_that_fails_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "record.json"
    write_whole(path, b"first")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_whole(path, b"second")
    assert path.read_bytes() == b"first"
    assert list(tmp_path.iterdir()) == [path]


def test_setting_aside_never_overwrites(tmp_path: Path) -> None:
    for text in ("a", "b", "c"):
        (tmp_path / "r.json").write_text(text)
        set_aside(tmp_path / "r.json")
    assert sorted(path.read_text() for path in tmp_path.iterdir()) == ["a", "b", "c"]
    assert not list(tmp_path.glob("*.json"))


def test_names_cannot_lead_out_of_the_folder(tmp_path: Path) -> None:
    spec = SPEC.model_copy(update={"strategy": Choice(name="../../../etc/x"), "scenario": Choice(name="..")})
    path = Store(tmp_path / "out", "../up").path(spec)
    assert path.resolve().is_relative_to(tmp_path / "out")
    assert len(path.relative_to(tmp_path / "out").parts) == 4


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        ("killed when its time was up", "killed when its time was up"),
        ("killed by SIGSEGV\n\nIt last printed:\nlast words", "killed by SIGSEGV"),
        ('Traceback (most recent call last):\n  File "a.py", line 1, in f\n    x\nKeyError: 3\n', "KeyError: 3"),
        (
            'Traceback (most recent call last):\n  File "a.py", line 1, in f\n    x\n    ^\nE: first\nsecond\n',
            "E: first",
        ),
        (
            'Traceback (most recent call last):\n  File "a.py", line 1\nA: 1\n\nDuring handling of ...:\n\n'
            'Traceback (most recent call last):\n  File "b.py", line 2, in g\nB: 2\n',
            "B: 2",
        ),
        ("a \x1b[31mred\x07 word", "a \ufffd[31mred\ufffd word"),
        ("", "no reason known"),
        (None, "no reason known"),
    ],
)
def test_the_reason_is_one_plain_line(error: str | None, reason: str) -> None:
    assert make(status="failed", accuracy=None, error=error).reason == reason
