"""Results of strangers: whatever they hold, each reader says what is wrong in one plain line, and in little memory."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import resource
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from lifelong.errors import UsageError
from lifelong.records.bounds import MAX_EVENTS, MAX_EXPERIENCES, MAX_NAME, MAX_RECORD_BYTES, MAX_SPEC_BYTES
from lifelong.records.merge import merge
from lifelong.records.published import Published
from lifelong.records.record import Record, parse, read
from lifelong.records.sources import records_in
from lifelong.records.store import Store
from lifelong.verification.verify import verify

Make = Callable[..., Record]
EVENT = {
    "step": 0, "experience": 0, "trigger": "t", "layer": "l", "operator": "o", "count": 1,
    "parameters_before": 1, "parameters_after": 1,
}  # fmt: skip
HUGE = "9" * 5000


def nested(depth: int) -> str:
    return '{"a":' * depth + "1" + "}" * depth


def replaced(text: str, path: str, value: str) -> str:
    """The record with JSON, whatever it is, in one place."""
    content: Any = json.loads(text)
    *way, last = path.split(".")
    target = content
    for part in way:
        target = target[int(part) if part.isdecimal() else part]
    target[int(last) if last.isdecimal() else last] = "@"
    with suppress(ValueError, RecursionError):  # the key that belongs to it, where there is one
        spec = json.loads(json.dumps(content["spec"]).replace('"@"', value, 1))
        content["key"] = hashlib.sha256(json.dumps(spec, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
    return json.dumps(content).replace('"@"', value, 1)


HOSTILE = {
    "NaN in R": ("accuracy.1.1", "NaN"),
    "infinity in R": ("accuracy.1.1", "Infinity"),
    "beyond any float": ("accuracy.1.1", "1e999"),
    "a huge whole number": ("capacity.1.steps", HUGE),
    "more than numpy holds": ("capacity.1.steps", str(2**63)),
    "a number whose square is infinite": ("learning.0.online_loss", "1e200"),
    "NaN among parameters": ("spec.strategy.parameters", '{"x": NaN}'),
    "infinity among parameters": ("spec.strategy.parameters", '{"x": -Infinity}'),
    "a huge number among parameters": ("spec.strategy.parameters", f'{{"x": {HUGE}}}'),
    "deep nesting": ("spec.strategy.parameters", nested(100_000)),
    "nesting that Python still bears": ("spec.strategy.parameters", nested(900)),
    "a large specification": ("spec.strategy.parameters", json.dumps({"x": "y" * MAX_SPEC_BYTES})),
    "a long name": ("spec.strategy.name", json.dumps("x" * (MAX_NAME + 1))),
    "a long layer": ("events", json.dumps([EVENT | {"layer": "x" * (MAX_NAME + 1)}])),
    "half of a surrogate pair": ("spec.strategy.name", r'"\ud800"'),
    "too many experiences": ("accuracy", json.dumps([[0.5]] * (MAX_EXPERIENCES + 2))),
    "a matrix as deep as it is long": ("accuracy", "[" * 50_000 + "]" * 50_000),
    "text for a number": ("capacity.1.steps", '"many"'),
    "a list for a name": ("spec.strategy.name", "[]"),
    "a number for a record's part": ("provenance", "3"),
    "a key that steers the terminal": ("spec.budget", r'{"\u001b[2J": 1}'),
    "nothing": ("spec", "null"),
}


@pytest.fixture(autouse=True)
def little_memory() -> Iterator[None]:
    """A gigabyte more than what there is: who takes ten fails here instead of on the machine."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + 2**30, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


@pytest.fixture
def refused(tmp_path: Path, everything: Path, sound: Make) -> Callable[[bytes], None]:
    """See that each reader refuses this content as a record, in one plain line, and reads what lies beside it."""

    def check(content: bytes) -> None:
        store = Store(everything, "toy-v1")
        path = store.path(sound().spec)
        path.write_bytes(content)
        reasons = []
        with pytest.raises((ValueError, OSError)) as refusal:
            read(path)
        reasons.append(str(refusal.value))
        records, damaged = store.load()
        assert len(records) == 5
        assert list(damaged) == [path]
        reasons += damaged.values()
        assert [one.path for one in records_in(everything) if one.record is None] == [path]
        reasons += [one.reason for one in merge([everything], tmp_path / "all") if one.outcome == "damaged"]
        findings = [one for one in verify(everything).findings if one.check == "schema"]
        reasons += [one.what for one in findings]
        published = tmp_path / "p.jsonl"
        published.write_bytes(content.replace(b"\n", b" ") + b"\n")
        with pytest.raises(UsageError) as refusal:
            Published(published, "toy-v1").load()
        reasons.append(str(refusal.value))
        assert len(reasons) == 5
        assert all(reason and len(reason) < MAX_NAME + 200 and reason.isprintable() for reason in reasons), reasons

    return check


@pytest.mark.parametrize("what", HOSTILE)
def test_what_is_refused(what: str, sound: Make, refused: Callable[[bytes], None]) -> None:
    refused(replaced(sound().to_json(), *HOSTILE[what]).encode())


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"3", b"null", b"\xff\xfe\x00", b'{"a": 1}' * 3, b"\x00" * 1000, b'"\\ud800"']
)
def test_what_is_not_even_json_or_no_record(content: bytes, refused: Callable[[bytes], None]) -> None:
    refused(content)


def test_the_reason_is_the_one_that_is_meant(sound: Make) -> None:
    """Without it, a record that was changed might be refused for its key alone."""
    for what, why in {
        "NaN among parameters": "Out of range float",
        "a large specification": "the specification is longer than",
        "a long name": "spec.strategy.name: String should have at most",
        "too many experiences": "accuracy: List should have at most",
    }.items():
        with pytest.raises(ValueError, match=why):
            parse(replaced(sound().to_json(), *HOSTILE[what]))


@pytest.mark.slow
def test_too_many_events(sound: Make) -> None:
    with pytest.raises(ValueError, match="events: List should have at most"):
        parse(replaced(sound().to_json(), "events", json.dumps([EVENT] * (MAX_EVENTS + 1))))


@pytest.mark.parametrize(
    "parameters", [nested(100), '{"__proto__": {"x": 1}}', '{"parameters": {"parameters": 1}}', '{"x": [1, [2, {}]]}']
)
def test_what_is_odd_is_read_by_all(parameters: str, sound: Make, everything: Path, tmp_path: Path) -> None:
    record = parse(replaced(sound().to_json(), "spec.strategy.parameters", parameters))
    (tmp_path / "odd.jsonl").write_text(record.to_json(indent=None))
    assert Published(tmp_path / "odd.jsonl", "toy-v1").load()[0] == {record.key: record}
    assert {one.outcome for one in merge([tmp_path / "odd.jsonl"], everything)} == {"new"}
    assert len(Store(everything, "toy-v1").load()[0]) == 7
    (found,) = (one for one in verify(everything).findings if one.level == "open")
    assert found.what.isprintable()


def test_of_a_key_that_stands_twice_the_last_counts_for_all(sound: Make, everything: Path) -> None:
    """The hash is of what is read: nothing can be hidden in the first."""
    record = sound()
    path = Store(everything, "toy-v1").path(record.spec)
    path.write_text(record.to_json(indent=None).replace('"seed": 0', '"seed": 7, "seed": 0'))
    assert read(path) == record
    path.write_text(record.to_json(indent=None).replace('"seed": 0', '"seed": 0, "seed": 7'))
    with pytest.raises(ValueError, match="the key is not the hash"):
        read(path)


@pytest.mark.parametrize("kind", ["sparse", "pipe", "device", "folder", "loop", "nowhere"])
def test_files_that_are_more_or_less_than_files(kind: str, everything: Path, sound: Make, tmp_path: Path) -> None:
    path = Store(everything, "toy-v1").path(sound().spec)
    path.unlink()
    if kind == "sparse":
        with path.open("wb") as file:
            file.truncate(10 * 2**30)
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to({"device": Path("/dev/zero"), "loop": path, "nowhere": tmp_path / "none"}[kind])
    records, damaged = Store(everything, "toy-v1").load()
    assert len(records) == 5
    assert list(damaged) == [path]
    assert damaged[path] == {
        "sparse": "larger than 64 MiB",
        "pipe": "not a regular file",
        "device": "not a regular file",
        "folder": "Is a directory",
        "loop": "Too many levels of symbolic links",
        "nowhere": "No such file or directory",
    }.get(kind)
    assert [one.outcome for one in merge([everything], tmp_path / "all")].count("new") == 5
    assert verify(everything).records == 5


def test_a_folder_that_leads_in_circles(everything: Path) -> None:
    (everything / "again").symlink_to(everything)
    assert verify(everything).records == 6


def bomb(line: bytes, times: int) -> bytes:
    """A line, many times, compressed: gzip members one after the other are one file."""
    member = gzip.compress(line * (2**24 // len(line)), 9, mtime=0)
    return member * (times * len(line) // 2**24)


@pytest.mark.parametrize("line", [b"0" * 16, b"\n" * 16, b"{}\n"], ids=["one line", "empty lines", "lines"])
def test_ten_gigabytes_in_a_few_megabytes(line: bytes, tmp_path: Path) -> None:
    path = tmp_path / "bomb.jsonl.gz"
    path.write_bytes(bomb(line, 10 * 2**30 // len(line)))
    assert path.stat().st_size < 12 * 2**20
    with pytest.raises(UsageError):
        Published(path, "toy-v1").load()
    merged = list(merge([path], tmp_path / "all"))
    assert {one.outcome for one in merged} == {"damaged"}
    assert len(merged) <= 101
    assert verify(path).records == 0


@pytest.mark.parametrize(
    "name", ["../../../up", "/etc/passwd", "..", ".", "", "a/b", "a\x00b", "~", "x" * MAX_NAME, "é" * 200]
)
def test_names_lead_nowhere_else(name: str, sound: Make, tmp_path: Path) -> None:
    spec = sound().spec
    named = spec.model_copy(update={"strategy": spec.strategy.model_copy(update={"name": name})})
    record = sound(spec=named, key=named.key, board=name)
    (tmp_path / "in.jsonl").write_text(record.to_json(indent=None))
    before = {path for path in tmp_path.rglob("*") if path.is_file()}
    (merged,) = merge([tmp_path / "in.jsonl"], tmp_path / "out" / "here")
    after = {path for path in tmp_path.rglob("*") if path.is_file()} - before
    assert merged.outcome == ("new" if after else "damaged")
    assert all(path.is_relative_to(tmp_path / "out" / "here") for path in after)
    assert verify(tmp_path / "in.jsonl").records == 1


@pytest.mark.slow
def test_the_longest_board_fits(sound: Make, tmp_path: Path) -> None:
    """plasticity-v1 has 200 experiences, and resets that come to thousands of events: there is room for more."""
    T, events = 200, 150_000
    event = EVENT | {
        "layer": "features.fc1.weight",
        "trigger": "ready",
        "loss_before": 0.123456789012345678,
        "value": 1e-9,
    }
    record = sound(accuracy=[[0.123456789] * T] * (T + 1), events=[event] * events)
    assert len(record.to_json(indent=1)) < MAX_RECORD_BYTES
    assert read(Store(tmp_path, "toy-v1").write(record)) == record
