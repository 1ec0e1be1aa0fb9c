"""The process of one run: whatever happens in it, a record is left."""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
import threading
import traceback
from multiprocessing import parent_process
from multiprocessing.connection import Connection, wait

from lifelong.registry import scenarios, strategies
from lifelong.running.job import Job
from lifelong.running.provenance import peak_memory_mb, provenance
from lifelong.running.records import Record, Status


def run_job(job: Job, connection: Connection) -> None:
    """Carry out a job, write its record, and tell the parent of each experience.

    Sends `(done, total)` before each experience.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what Ctrl-C means
    _die_with_parent()
    _log_to(job)
    try:
        from lifelong.running.execute import execute  # heavy: the parent, which starts this, does without

        record = execute(
            job,
            scenarios.get(job.scenario),
            strategies.get(job.strategy),
            report=lambda done, total: connection.send((done, total)),
        )
    except BaseException as error:
        record = failure(job, "out of memory" if is_out_of_memory(error) else "failed", traceback.format_exc())
    job.store.write(record)
    if record.ok:
        job.store.checkpoint(job.spec).unlink(missing_ok=True)
    connection.close()


def failure(job: Job, status: Status, error: str) -> Record:
    """The record of a run that came to nothing."""
    return Record(
        schema=1,
        key=job.spec.key,
        board=job.board,
        spec=job.spec,
        status=status,
        error=error,
        peak_memory_mb=peak_memory_mb() if parent_process() is not None else None,
        provenance=provenance(job.device),
    )


def is_out_of_memory(error: BaseException) -> bool:
    """Whether Python, torch on the CPU, or torch on an accelerator ran out of memory."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return isinstance(error, RuntimeError) and any(
        sign in str(error) for sign in ("can't allocate memory", "not enough memory", "out of memory")
    )


def _die_with_parent() -> None:
    """An orphan would train on for a record that the next run trains for too."""
    parent = parent_process()
    if parent is None:
        return

    def watch() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _log_to(job: Job) -> None:
    """What a strategy prints goes to a file, where it does not tear the display."""
    path = job.store.log(job.spec)
    path.parent.mkdir(parents=True, exist_ok=True)
    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    sys.stdout.flush()
    sys.stderr.flush()
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
    faulthandler.enable()
