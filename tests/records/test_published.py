"""Records in one file: what is read is what was written, and a file that is not whole is not believed."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from lifelong.errors import UsageError
from lifelong.records.provenance import provenance
from lifelong.records.published import Published, as_lines, compressed
from lifelong.records.record import Record
from lifelong.records.spec import Budget, Choice, Spec


def make(seed: int, board: str = "b") -> Record:
    spec = Spec(
        scenario=Choice(name="toy"), strategy=Choice(name="ewc"), model=Choice(name="mlp"), budget=Budget(), seed=seed
    )
    return Record(
        schema=1,
        key=spec.key,
        board=board,
        spec=spec,
        status="ok",
        accuracy=[[0.5, None], [1.0, 0.25], [0.1, 1 / 3]],
        provenance=provenance("cpu"),
    )


RECORDS = [make(seed) for seed in range(3)]


@pytest.mark.parametrize("name", ["r.jsonl", "r.jsonl.gz"])
def test_records_come_back_as_they_were(tmp_path: Path, name: str) -> None:
    path, text = tmp_path / name, as_lines(RECORDS)
    path.write_bytes(compressed(text) if path.suffix == ".gz" else text.encode())
    records, damaged = Published(path, "b").load()
    assert records == {record.key: record for record in RECORDS}
    assert damaged == {}


def test_one_record_to_a_line_and_the_same_bytes_each_time() -> None:
    text = as_lines(RECORDS)
    assert [json.loads(line)["schema"] for line in text.splitlines()] == [1, 1, 1]
    assert compressed(as_lines(reversed(RECORDS))) == compressed(text)
    assert compressed(text)[4:8] == bytes(4)  # no time of writing
    assert gzip.decompress(compressed(text)).decode() == text


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("r.jsonl", as_lines(RECORDS).encode()[:-100], "r.jsonl:3: "),
        ("r.jsonl", as_lines([make(0, "other")]).encode(), "r.jsonl:1: a record of other, not of b"),
        ("r.jsonl", b"\xff\xfe", "r.jsonl:1: "),
        ("r.jsonl", as_lines([*RECORDS, RECORDS[0]]).encode(), "r.jsonl:2: a run that stands above already"),
        ("r.jsonl.gz", b"not compressed", "r.jsonl.gz: "),
        ("r.jsonl.gz", compressed(as_lines(RECORDS))[:-20], "r.jsonl.gz: "),
        ("r.jsonl.gz", compressed(as_lines(RECORDS))[:30] + b"0" * 90, "r.jsonl.gz: "),
    ],
)
def test_what_is_not_whole_is_refused_with_the_line(tmp_path: Path, name: str, content: bytes, why: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UsageError) as refusal:
        Published(tmp_path / name, "b").load()
    assert str(refusal.value).startswith(f"{tmp_path}/{why}")
    assert "\n" not in str(refusal.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file"):
        Published(tmp_path / "none.jsonl", "b").load()
