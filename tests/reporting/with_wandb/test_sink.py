"""A board's runs, logged beside it."""

import json
import multiprocessing
import subprocess
import sys

from lifelong.reporting.wandb.record import run_id
from lifelong.reporting.wandb.sink import WandbSink


def test_a_sink_logs_what_it_is_sent(make_record, store, directory, context, runs, read_back):
    records = [make_record(seed=seed) for seed in range(3)]
    sink = WandbSink("offline", directory, protocols={"digits-class": "class"}, context=context)
    for path in store(*records):
        sink.send(path)
    assert sink.close(240) == []
    assert set(runs()) == {run_id(record) for record in records}
    assert "class" in read_back(records[2]).run["tags"]
    assert not multiprocessing.active_children()


def test_the_default_context_serves(make_record, store, directory, runs):
    record = make_record()
    sink = WandbSink("offline", directory)
    sink.send(*store(record))
    assert sink.close(240) == []
    assert set(runs()) == {run_id(record)}


def test_a_file_that_is_no_record_costs_only_itself(make_record, store, directory, context, tmp_path, runs):
    broken = tmp_path / "broken.json"
    broken.write_text("{}")
    record = make_record()
    sink = WandbSink("offline", directory, context=context, push_command="lifelong wandb push results")
    for path in (broken, tmp_path / "absent.json", *store(record)):
        sink.send(path)
    warnings = sink.close(240)
    assert len(warnings) == 2
    assert all("1 run was not logged (" in warning and "lifelong wandb push results" in warning for warning in warnings)
    assert set(runs()) == {run_id(record)}


def test_online_runs_reach_the_server(make_record, store, directory, context, online, runs):
    records = [make_record(seed=0), make_record("si", 1, None, status="failed", error="Traceback")]
    sink = WandbSink("online", directory, context=context)
    for path in store(*records):
        sink.send(path)
    assert sink.close(240) == []
    started = {sent["name"]: sent for name, sent in online.asked if name == "UpsertBucket" and sent.get("displayName")}
    assert started.keys() == {run_id(record) for record in records}
    assert started[run_id(records[0])]["groupName"] == "classic/digits-class/ewc"
    for record, exit_code in zip(records, (0, 1), strict=True):
        address = f"/files/entity/lifelong/{run_id(record)}/file_stream"
        streamed = [json.loads(body) for name, body in online.asked if name == address]
        rows = [
            json.loads(row)
            for part in streamed
            for row in part.get("files", {}).get("wandb-history.jsonl", {}).get("content", [])
        ]
        assert [row["experience"] for row in rows] == list(range(len(record.accuracy or [])))
        assert streamed[-1]["exitcode"] == exit_code
    assert online.names().count("CreateArtifact") == 6  # a record and two tables for each
    assert runs() == {}


def test_importing_the_module_loads_neither_wandb_nor_torch():
    script = "import sys, lifelong.reporting.wandb.sink; print(*{'wandb', 'torch', 'avalanche'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout == "\n"
