"""What a W&B run says of its record, read back from the files that the real wandb wrote."""

import json
import os
from pathlib import Path

import pytest

from lifelong.records.metrics import RUN_METRICS
from lifelong.reporting.wandb.record import log_record, run_id


@pytest.fixture
def logged(directory, read_back):
    """Log a record, and read back what was logged."""

    def log(record, **more):
        log_record(record, mode="offline", directory=directory, **more)
        return read_back(record)

    return log


def test_a_run_is_what_the_record_says(make_record, directory, read_back):
    record = make_record(parameters={"strength": 0.5})
    folder = log_record(record, mode="offline", directory=directory, protocol="class")
    found = read_back(record)
    assert folder == str(found.file.parent)
    assert (found.run["run_id"], found.run["project"], found.exit_code) == (run_id(record), "lifelong", 0)
    assert found.run["display_name"] == "ewc · digits-class · s0"
    assert found.run["tags"] == ["classic", "digits-class", "ewc", "ok", "class"]
    assert (found.run["run_group"], found.run["job_type"]) == ("classic/digits-class/ewc", "run")
    assert found.config == {
        "board": "classic",
        "scenario": "digits-class",
        "strategy": "ewc",
        "protocol": "class",
        "seed": 0,
        "key": record.key,
        "spec": record.spec.model_dump(mode="json"),
        "provenance": record.provenance.model_dump(mode="json"),
    }


def test_the_summary_has_every_metric_and_the_matrix(make_record, logged, directory):
    record = make_record()
    found = logged(record)
    summary = found.summary
    assert summary["average_accuracy"] == pytest.approx(17 / 24)
    assert summary["forgetting"] == 0.25
    missing = set(RUN_METRICS) - set(summary)
    assert {"forward_transfer", "intransigence", "detection_delay", "effective_rank"} <= missing  # not defined here
    assert {"average_accuracy", "forgetting", "average_parameters", "training_macs", "online_accuracy"} <= set(summary)
    assert (summary["setup_s"], summary["train_s"], summary["eval_s"], summary["total_s"]) == (0.5, 6.0, 1.0, 9.0)
    assert (summary["peak_memory_mb"], summary["status"]) == (321.5, "ok")
    table = found.table("accuracy")
    assert table["columns"] == ["after experience", "experience 01", "experience 02", "experience 03"]
    assert table["data"] == [[i, *row] for i, row in enumerate(record.accuracy)]
    (artifact,) = (one for one in found.entries["artifact"] if one["type"] == "record")
    (stored,) = artifact["manifest"]["contents"]
    staged = Path(stored["local_path"])
    assert staged.read_text(encoding="utf-8") == record.to_json()
    assert directory in staged.parents


def test_a_failed_run_is_a_failed_run(make_record, logged):
    record = make_record("si", 3, None, status="out of memory", error="Traceback\nMemoryError: too much")
    found = logged(record)
    assert found.exit_code == 1
    assert found.summary["status"] == "out of memory"
    assert found.summary["error"] == record.error
    assert "out of memory" in found.run["tags"]
    assert found.rows == []


def test_names_at_the_limits_are_accepted(make_record, logged):
    record = make_record("s" * 200, scenario="a: strange, scenario/#?% · ü")
    found = logged(record, project="other", entity="team")
    assert (found.run["project"], found.run["entity"]) == ("other", "team")
    assert all(1 <= len(tag) <= 64 for tag in found.run["tags"])


def test_logging_leaves_the_environment_alone(make_record, directory):
    before = dict(os.environ)
    log_record(make_record(), mode="offline", directory=directory)
    changed = {name for name in before.keys() | os.environ.keys() if before.get(name) != os.environ.get(name)}
    assert not {name for name in changed if not name.startswith("WANDB_SERVICE")}


def test_a_run_has_an_address_when_it_is_online(make_record, directory, online):
    record = make_record()
    address = log_record(record, mode="online", directory=directory)
    assert address == f"{online.url}/entity/lifelong/runs/{run_id(record)}"
    streamed = [json.loads(body) for name, body in online.asked if name.endswith("/file_stream")]
    assert streamed[-1]["exitcode"] == 0
