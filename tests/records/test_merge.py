"""Records from several machines in one folder: nothing is lost, and nothing is overwritten."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from lifelong.errors import UsageError
from lifelong.records.merge import add, merge
from lifelong.records.published import as_lines, compressed
from lifelong.records.record import Record, read
from lifelong.records.store import Store

Make = Callable[..., Record]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "all", "toy-v1")


def other(record: Record, entry: float) -> Record:
    """The same run with another accuracy in the end."""
    assert record.accuracy is not None
    return record.model_copy(update={"accuracy": [*record.accuracy[:-1], [entry] * 3]})


def failed(record: Record, why: str = "no") -> Record:
    return record.model_copy(update={"status": "failed", "accuracy": None, "error": why})


def elsewhere(record: Record) -> Record:
    """The same result from another machine, in another time."""
    told = record.provenance.model_copy(update={"machine": "another"})
    return record.model_copy(update={"provenance": told, "times": record.times.model_copy(update={"total_s": 99.0})})


def content(store: Store) -> dict[str, bytes]:
    return {str(path.relative_to(store.out)): path.read_bytes() for path in store.out.rglob("*") if path.is_file()}


def test_what_is_new_is_added_and_what_is_the_same_is_left(sound: Make, store: Store) -> None:
    record = sound()
    assert add(record, store) == "new"
    before = content(store)
    assert list(before) == [str(store.path(record.spec).relative_to(store.out))]
    assert add(record, store) == "same"
    assert add(elsewhere(record), store) == "same"
    assert content(store) == before


def test_what_is_ok_beats_what_failed(sound: Make, store: Store) -> None:
    record = sound()
    assert add(failed(record), store) == "new"
    assert add(failed(record, "another reason"), store) == "same"
    assert read(store.path(record.spec)).error == "no"
    assert add(record, store) == "mended"
    assert add(failed(record), store) == "failed"
    assert read(store.path(record.spec)) == record


def test_of_two_results_both_are_kept(sound: Make, store: Store) -> None:
    first, second, third = sound(), other(sound(), 0.25), other(sound(), 0.75)
    path = store.path(first.spec)
    assert [add(record, store) for record in (first, second, third, elsewhere(second))] == ["new", *["conflict"] * 3]
    assert read(path) == first
    beside = sorted(path.parent.glob(f"{path.name}.conflict-" + "[0-9a-f]" * 8))
    assert sorted(str(read(one).accuracy) for one in beside) == sorted([str(second.accuracy), str(third.accuracy)])
    assert store.load() == ({first.key: first}, {})


def test_a_stream_without_classes_conflicts_by_its_losses(sound: Make, store: Store) -> None:
    record = sound(accuracy=[[None] * 3] * 4)
    learning = [entry.model_copy(update={"online_loss": 5.0}) for entry in record.learning]
    assert add(record, store) == "new"
    assert add(elsewhere(record), store) == "same"
    assert add(record.model_copy(update={"learning": learning}), store) == "conflict"


def test_a_file_that_is_no_record_is_set_aside(sound: Make, store: Store) -> None:
    path = store.path(sound().spec)
    path.parent.mkdir(parents=True)
    path.write_text("{")
    assert add(sound(), store) == "new"
    assert read(path) == sound()
    assert [one.read_text() for one in path.parent.glob("*.damaged*")] == ["{"]


def test_folders_and_published_files_of_several_boards(sound: Make, tmp_path: Path, everything: Path) -> None:
    own = [record.model_copy(update={"board": "mine"}) for record in (sound("replay", 0), sound("replay", 1))]
    (tmp_path / "p.jsonl.gz").write_bytes(compressed(as_lines(own)))
    (everything / "table.json").write_text(json.dumps({"tables": []}))
    (everything / "half.json").write_text("{")
    found = list(merge([everything, tmp_path / "p.jsonl.gz", everything], tmp_path / "all"))
    assert [one.outcome for one in found].count("new") == 8
    assert [one.outcome for one in found].count("same") == 6
    assert [one.located.path.name for one in found if one.outcome == "damaged"] == ["half.json"] * 2
    assert len(Store(tmp_path / "all", "toy-v1").load()[0]) == 6
    assert Store(tmp_path / "all", "mine").load() == ({record.key: record for record in own}, {})


def test_a_conflict_is_told_with_the_largest_difference(sound: Make, tmp_path: Path) -> None:
    Store(tmp_path / "a", "toy-v1").write(sound())
    Store(tmp_path / "b", "toy-v1").write(other(sound(), 0.15))
    *_, last = merge([tmp_path / "a", tmp_path / "b"], tmp_path / "all")
    assert last.outcome == "conflict"
    assert "R differs by up to 0.25" in last.told


def test_nothing_is_written_where_a_place_is_not_there(everything: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no folder or file"):
        list(merge([everything, tmp_path / "none"], tmp_path / "all"))
    (tmp_path / "notes.txt").touch()
    with pytest.raises(UsageError, match=r"notes.txt: the name of a file of records ends in .json, .jsonl"):
        list(merge([everything, tmp_path / "notes.txt"], tmp_path / "all"))
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="choose another with --out"):
        list(merge([everything], tmp_path / "file"))
    assert not (tmp_path / "all").exists()
