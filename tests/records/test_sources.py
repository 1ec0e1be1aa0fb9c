"""Records are found wherever they lie, and what should be one and is not is told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lifelong.errors import UsageError
from lifelong.records.published import as_lines, compressed
from lifelong.records.record import Record
from lifelong.records.sources import records_in
from lifelong.records.store import Store


def test_whatever_lies_in_a_folder(everything: Path) -> None:
    """Checkpoints, logs, what W&B wrote, rankings and pages are no records, and not told as damaged ones."""
    for name in ("toy-v1/wandb/config.json", "toy-v1/.logs/x.json", "page.html", "table.csv", "toy-v1.md"):
        (everything / name).parent.mkdir(exist_ok=True)
        (everything / name).write_text("{}")
    (everything / "rankings.json").write_text('{"tables": []}')
    (everything / "toy-v1/toy/naive/half.json").write_text("{")
    found = list(records_in(everything))
    assert len([one for one in found if one.record is not None]) == 6
    assert [one.path.name for one in found if one.record is None] == ["half.json"]


@pytest.mark.parametrize("name", ["p.jsonl", "p.jsonl.gz"])
def test_a_published_file_line_by_line(name: str, everything: Path, tmp_path: Path) -> None:
    records = list(Store(everything, "toy-v1").load()[0].values())
    text = as_lines(records[:2]) + "{\n" + as_lines(records[2:])
    path = tmp_path / name
    path.write_bytes(compressed(text) if path.suffix == ".gz" else text.encode())
    found = list(records_in(path))
    assert [one.line for one in found] == [1, 2, 3, 4, 5, 6, 7]
    assert [one.where for one in found if one.record is None] == [f"{path}:3"]
    assert {one.record.key for one in found if one.record} == {record.key for record in records}


def test_a_published_file_that_breaks_off(everything: Path, tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl.gz"
    path.write_bytes(compressed(as_lines(Store(everything, "toy-v1").load()[0].values()))[:-9])
    *_, last = records_in(path)
    assert last.record is None
    assert last.reason == "Compressed file ended before the end-of-stream marker was reached"


def test_one_record(sound: Callable[..., Record], tmp_path: Path) -> None:
    path = Store(tmp_path, "toy-v1").write(sound())
    assert [one.record for one in records_in(path)] == [sound()]


def test_no_such_place(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no folder or file"):
        list(records_in(tmp_path / "none"))
