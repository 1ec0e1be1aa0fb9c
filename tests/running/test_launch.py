"""What is run, in which order, and on what: settled before anything runs."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lifelong.boards.board import load_board
from lifelong.boards.plan import Wishes, make_plan
from lifelong.errors import UsageError
from lifelong.records.provenance import provenance
from lifelong.records.record import Record
from lifelong.records.store import Store
from lifelong.running.launch import Options, make_jobs, rescue, resolve_device, worker_count
from lifelong.running.scheduler import fork_server
from lifelong.running.worker import is_out_of_memory
from lifelong.training.job import Job

Jobs = Callable[..., list[Job]]


@pytest.fixture
def jobs(tmp_path: Path) -> Jobs:
    """The jobs of toy-v1 whose cells, in the plan's order, have records of these statuses already."""

    def made(*statuses: str, **options: Any) -> list[Job]:
        board, store = load_board("toy-v1"), Store(tmp_path, "toy-v1")
        for cell, status in zip(make_plan(board, Wishes(), store).cells, statuses, strict=False):
            assert cell.spec
            record = {"schema": 1, "key": cell.spec.key, "board": "toy-v1", "spec": cell.spec, "status": status}
            accuracy = [[0.5], [1.0]] if status == "ok" else None
            store.write(Record.model_validate(record | {"accuracy": accuracy, "provenance": provenance("cpu")}))
        return make_jobs(make_plan(board, Wishes(), store), store, Options(device="cpu", **options))

    return made


def names(found: list[Job]) -> list[str]:
    return [f"{job.spec.strategy.name} {job.spec.seed}" for job in found]


def test_first_seeds_first_so_that_an_early_stop_leaves_whole_tables(jobs: Jobs) -> None:
    assert names(jobs()) == ["naive 0", "joint 0", "replay 0", "naive 1", "joint 1", "replay 1"]
    assert names(jobs(limit=4)) == ["naive 0", "joint 0", "replay 0", "naive 1"]


def test_a_limit_counts_what_is_to_run(jobs: Jobs) -> None:
    # by strategy, then seed: naive is through, the first joint and the first replay have failed
    assert names(jobs("ok", "ok", "failed", "ok", "timeout", limit=2)) == ["replay 1"]
    assert names(jobs(limit=2, retry_failed=True)) == ["joint 0", "replay 0"]
    assert names(jobs(limit=9, retry_failed=True)) == ["joint 0", "replay 0", "replay 1"]


def test_nothing_is_checked_or_written_where_nothing_is_missing(jobs: Jobs, tmp_path: Path) -> None:
    assert jobs(*["ok"] * 6) == []
    assert not [path for path in tmp_path.rglob(".*") if path.is_file()]


def test_another_process_may_have_set_it_aside_already(tmp_path: Path) -> None:
    board, store = load_board("toy-v1"), Store(tmp_path, "toy-v1")
    damaged = tmp_path / "toy-v1/toy/naive/half.json"
    damaged.parent.mkdir(parents=True)
    damaged.write_text("{")
    first, second = (make_plan(board, Wishes(), store) for _ in range(2))
    assert [sentence.endswith("set aside as half.json.damaged") for sentence in rescue(first)] == [True]
    assert rescue(second) == []


def test_workers_are_no_more_than_jobs_and_no_fewer_than_one() -> None:
    cores = len(os.sched_getaffinity(0))
    assert worker_count(None, 1000) == cores
    assert worker_count(7, 3) == 3
    assert worker_count(7, 1000) == 7
    assert worker_count(None, 0) == 1


def test_devices() -> None:
    assert resolve_device("cpu") == "cpu"
    assert resolve_device("auto") in ("cpu", "cuda:0")
    with pytest.raises(UsageError, match="no device 'cuda:77' here; there is auto, cpu"):
        resolve_device("cuda:77")


def test_what_counts_as_out_of_memory() -> None:
    assert is_out_of_memory(MemoryError())
    assert is_out_of_memory(RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate"))
    assert is_out_of_memory(type("OutOfMemoryError", (RuntimeError,), {})("CUDA"))
    assert not is_out_of_memory(RuntimeError("shapes do not match"))
    assert not is_out_of_memory(ValueError("out of memory"))


def test_ctrl_c_is_left_alone_once_the_server_of_processes_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """It was lost when it came as the first record was logged, for which the server was asked for again."""
    first = fork_server()
    monkeypatch.setattr(signal, "signal", lambda *_: pytest.fail("Ctrl-C is ignored meanwhile"))
    assert fork_server() is first
