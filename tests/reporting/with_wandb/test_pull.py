"""Records read back from W&B runs, most of them by people who mean no good."""

import json
from pathlib import Path

import pytest

from lifelong.errors import UsageError
from lifelong.records.bounds import MAX_RECORD_BYTES
from lifelong.records.store import Store
from lifelong.reporting.wandb.pull import pull, pull_offline
from lifelong.reporting.wandb.push import push
from lifelong.reporting.wandb.record import run_id


@pytest.fixture
def out(tmp_path):
    return tmp_path / "pulled"


def below(folder):
    """The contents of the files below a folder, by path."""
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_what_runs_carry_is_written_as_records(make_record, online, out):
    records = [make_record(seed=0), make_record("si", 1, None, status="failed", error="Traceback")]
    for record in records:
        online.carry(run_id(record), record.to_json().encode(), shown=f"seed {record.spec.seed}")
    assert [(run.run, run.outcome) for run in pull("entity", "project", out)] == [
        (f"seed 0 ({run_id(records[0])})", "new"),
        (f"seed 1 ({run_id(records[1])})", "new"),
    ]
    found, damaged = Store(out, "classic").load()
    assert list(found.values()) == records
    assert not damaged
    assert {run.outcome for run in pull("entity", "project", out)} == {"same"}
    asked = next(variables for name, variables in online.asked if name == "Runs")
    assert (asked["entity"], asked["project"]) == ("entity", "project")


def test_runs_without_a_record_are_told(online, out):
    online.carry("theirs", b"{}", kind="model", shown="no \x1b[2Jrun of ours")
    online.carry("other", b"{}", file="model.json")
    told = list(pull("entity", "project", out))
    assert [run.outcome for run in told] == ["without a record"] * 2
    assert told[0].run == "no \N{REPLACEMENT CHARACTER}[2Jrun of ours (theirs)"
    assert below(out) == {}


def test_the_last_record_of_a_run_counts(make_record, online, out):
    failed = make_record(accuracy=None, status="failed", error="Traceback")
    ended = make_record()
    for record in (failed, ended):
        online.carry(run_id(record), record.to_json().encode())
    assert [run.outcome for run in pull("entity", "project", out)] == ["new"]
    assert list(Store(out, "classic").load()[0].values()) == [ended]


def test_another_result_for_the_same_key_is_kept_beside(make_record, online, out):
    mine = make_record()
    theirs = mine.model_copy(update={"accuracy": [[0.5, 0.25, None], *mine.accuracy[1:-1], [0.5, 0.75, 0.25]]})
    Store(out, "classic").write(mine)
    online.carry(run_id(theirs), theirs.to_json().encode())
    (told,) = pull("entity", "project", out)
    assert told.outcome == "conflict"
    assert told.reason in told.told
    path = Store(out, "classic").path(mine.spec)
    assert below(out) == {
        str(path.relative_to(out)): mine.to_json(),
        str(Path(told.reason).relative_to(out)): theirs.to_json(),
    }


def changed(record, **changes):
    return json.dumps(json.loads(record.to_json()) | changes).encode()


def test_what_is_no_record_is_told_and_never_written(make_record, online, out):
    record = make_record()
    hostile = {
        "Invalid JSON": b"not JSON",
        "EOF": b"",
        "recursion": b"[" * 100_000,
        "expected value": b"\x80\x04\x95",  # a pickle
        "accuracy": changed(record, accuracy=[[float("nan")], [0.5]]),
        "the key is not the hash": changed(record, key="0" * 64),
        "status": changed(record, status="done"),
        "run": changed(record, run="<script>"),
    }
    for number, content in enumerate(hostile.values()):
        online.carry(str(number), content)
    online.carry("no URL", b"{}")
    online.carry(run_id(record), record.to_json().encode())
    *bad, unreachable, good = pull("entity", "project", out)
    assert unreachable.outcome == "damaged"
    for told, why in zip(bad, hostile, strict=True):
        assert told.outcome == "damaged"
        assert why in told.reason
        assert told.reason.isprintable()
    assert good.outcome == "new"
    assert list(below(out).values()) == [record.to_json()]


def test_names_in_a_record_lead_to_no_other_place(make_record, online, out, tmp_path):
    record = make_record("../../<script>", scenario="../../../etc/passwd")
    record = record.model_copy(update={"board": "../../outside"})
    online.carry("hostile", record.to_json().encode(), shown="../../../name")
    before = {path for path in tmp_path.rglob("*") if out not in path.parents and "home" not in path.parts}
    assert [run.outcome for run in pull("entity", "project", out)] == ["new"]
    assert {path for path in tmp_path.rglob("*") if out not in path.parents and "home" not in path.parts} == {
        *before,
        out,
    }
    (path,) = below(out)
    assert ".." not in path.split("/")


def test_what_is_too_large_is_not_read(online, out):
    online.carry("honest", b"{}", size=MAX_RECORD_BYTES + 1)
    online.carry("lying", b" " * (MAX_RECORD_BYTES + 1), size=2)
    told = list(pull("entity", "project", out))
    assert [(run.outcome, run.reason) for run in told] == [("damaged", "larger than 64 MiB")] * 2
    assert [name for name in online.names() if name.startswith("/stored")] == ["/stored/lying/0"]


def test_what_lies_elsewhere_is_not_fetched(online, out, tmp_path):
    references = ["file:///etc/passwd", "s3://bucket/key", f"{online.url}/elsewhere"]
    for number, reference in enumerate(references):
        online.carry(str(number), b"{}", reference=reference)
    online.carry("path", b"{}", file="../../record.json")
    told = list(pull("entity", "project", out))
    assert [run.reason for run in told] == ["a reference to another place"] * 3 + [""]
    assert told[3].outcome == "without a record"
    assert "/elsewhere" not in online.names()
    assert not list(tmp_path.rglob("record.json"))


def test_without_a_key_or_a_server_nothing_is_pulled(out, monkeypatch):
    with pytest.raises(UsageError, match="no API key"):
        list(pull("entity", "project", out))
    monkeypatch.setenv("WANDB_API_KEY", "a" * 40)
    with pytest.raises(UsageError, match="W&B: entity/project"):
        list(pull("entity", "project", out, timeout_s=1))


def test_a_server_that_goes_away_is_not_asked_for_each_run(make_record, online, out):
    record = make_record()
    for number in range(3):
        online.carry(str(number), record.to_json().encode())
    pulling = pull("entity", "project", out, timeout_s=60)
    assert next(pulling).outcome == "new"
    online.refuses = lambda operation: operation == "RunOutputArtifacts"
    with pytest.raises(UsageError, match=r"W&B: entity/project: .*denied"):
        next(pulling)
    assert list(Store(out, "classic").load()[0].values()) == [record]


def test_offline_runs_are_read_from_their_files(make_record, directory, out):
    records = [make_record(seed=seed) for seed in range(2)]
    push(records, mode="offline", directory=directory)
    found = list(pull_offline(directory, out))
    assert sorted((run.run, run.outcome) for run in found) == sorted((run_id(record), "new") for record in records)
    assert {record.spec.seed for record in Store(out, "classic").load()[0].values()} == {0, 1}
    for staged in (directory / "wandb/artifacts/staging").iterdir():
        staged.unlink()
    assert {run.outcome for run in pull_offline(directory, out)} == {"without a record"}
    with pytest.raises(UsageError, match="no folder"):
        list(pull_offline(directory / "absent", out))
