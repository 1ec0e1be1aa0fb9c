"""Boards that survive crashes of wandb, and loggers that do not survive their board."""

import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap

import psutil
import pytest

from lifelong.reporting.wandb.push import push
from lifelong.reporting.wandb.record import run_id
from lifelong.reporting.wandb.sink import WandbSink

pytestmark = pytest.mark.slow


def test_a_crash_inside_wandb_puts_the_run_offline(make_record, store, directory, context, online, runs, wait_until):
    crashing, next_one = make_record(seed=0), make_record(seed=1)
    online.answering.clear()
    sink = WandbSink("online", directory, timeout_s=240, context=context)
    sink.send(*store(crashing))
    wait_until(lambda: "UpsertBucket" in online.names())
    (child,) = multiprocessing.active_children()
    for helper in psutil.Process(child.pid).children(recursive=True):
        if "wandb-core" in helper.name():
            helper.kill()
    online.answering.set()
    sink.send(*store(next_one))
    (warning,) = sink.close(240)
    assert warning.startswith("W&B: 1 run was logged offline instead (")
    assert set(runs()) == {run_id(crashing)}
    assert run_id(next_one) in {sent.get("name") for name, sent in online.asked if name == "UpsertBucket"}


def test_a_crash_of_the_logger_costs_only_the_view(make_record, store, directory, context, runs):
    sink = WandbSink("offline", directory, context=context)
    (child,) = multiprocessing.active_children()
    child.kill()
    child.join()
    records = [make_record(seed=seed) for seed in range(2)]
    for path in store(*records):
        sink.send(path)
    assert sink.close(3600) == [  # it does not wait that long: no test may take so much
        "W&B: 2 runs were not logged (the logging process stopped); "
        "records are safe, `lifelong wandb push DIR` sends them later"
    ]
    assert push(records, mode="offline", directory=directory).sent == 2
    assert set(runs()) == {run_id(record) for record in records}


def test_an_interrupt_of_the_board_leaves_the_logger_at_work(make_record, store, directory, context, runs, wait_until):
    first, second = make_record(seed=0), make_record(seed=1)
    sink = WandbSink("offline", directory, context=context)
    sink.send(*store(first))
    wait_until(lambda: runs())
    (child,) = multiprocessing.active_children()
    os.kill(child.pid, signal.SIGINT)
    sink.send(*store(second))
    assert sink.close(240) == []
    assert set(runs()) == {run_id(first), run_id(second)}


def test_the_logger_dies_with_the_board(make_record, store, directory, tmp_path, wait_until):
    (path,) = store(make_record())
    script = tmp_path / "board.py"
    script.write_text(
        textwrap.dedent(f"""
        import multiprocessing, os, signal, time
        from pathlib import Path
        from lifelong.reporting.wandb.sink import WandbSink
        if __name__ == "__main__":
            sink = WandbSink("offline", Path({str(directory)!r}), context=multiprocessing.get_context("spawn"))
            sink.send(Path({str(path)!r}))
            while not list(Path({str(directory)!r}).glob("wandb/offline-run-*/run-*.wandb")):
                time.sleep(0.05)
            print(multiprocessing.active_children()[0].pid, flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
        """)
    )
    result = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=240)
    assert result.returncode == -signal.SIGKILL, result.stderr
    pid = int(result.stdout)
    wait_until(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
