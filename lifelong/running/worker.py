"""The processes that do the work: one that first tries to build everything, and one for each run.

The process of a run leaves a record, whatever exception is raised in it.
"""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
import threading
import traceback
from collections.abc import Sequence
from io import TextIOWrapper
from itertools import groupby
from multiprocessing import parent_process
from multiprocessing.connection import Connection, wait
from pathlib import Path

from lifelong.errors import UsageError
from lifelong.records.provenance import peak_memory_mb, provenance
from lifelong.records.record import Record, Status
from lifelong.registry import scenarios, strategies
from lifelong.training.job import Job


def try_out(jobs: Sequence[Job], connection: Connection) -> None:
    """Build what each kind of run needs, without training, and send the reason why one of them is refused.

    It sends None at its start, and at its end either the first refusal, in one sentence, or None. It sends no other
    error: the run itself will report it, with its traceback.
    """
    _settle_in(jobs[0].store.root / ".logs" / "try-out.txt")
    connection.send(None)
    try:
        _build_each(jobs)
    except UsageError as refusal:
        connection.send(str(refusal))
    except Exception:
        traceback.print_exc()
        connection.send(None)
    else:
        connection.send(None)


def _build_each(jobs: Sequence[Job]) -> None:
    from lifelong.training.prepare import build_benchmark, check_benchmark, prepare

    kinds = {job.spec.model_copy(update={"seed": 0}).key: job for job in reversed(jobs)}
    for _, group in groupby(sorted(kinds.values(), key=lambda job: job.spec.setting), lambda job: job.spec.setting):
        jobs_of_setting = list(group)
        first = jobs_of_setting[0]
        scenario = scenarios.get(first.scenario)
        benchmark = build_benchmark(first.spec, scenario, first.data, first.device)
        check_benchmark(benchmark, scenario)
        for job in jobs_of_setting:
            prepare(job.spec, scenario, strategies.get(job.strategy), benchmark, job.device, job.network)


def run_job(job: Job, connection: Connection) -> None:
    """Carry out a job and write its record.

    Before each experience it sends the parent `(done, total)`: how many experiences are done, and of how many.
    """
    _settle_in(job.store.log(job.spec))
    try:
        from lifelong.training.execute import execute  # slow to import, and the parent imports this file too

        record = execute(
            job,
            scenarios.get(job.scenario),
            strategies.get(job.strategy),
            report=lambda done, total: connection.send((done, total)),
        )
    except BaseException as error:
        traceback.print_exc()
        record = failure(job, "out of memory" if is_out_of_memory(error) else "failed", traceback.format_exc())
    job.store.write(record)
    if record.ok:
        job.store.checkpoint(job.spec).unlink(missing_ok=True)
    connection.close()


def failure(job: Job, status: Status, error: str) -> Record:
    """Return the record of a run that did not finish."""
    return Record(
        schema=1,
        key=job.spec.key,
        board=job.board,
        spec=job.spec,
        status=status,
        error=error.encode(errors="backslashreplace").decode(),  # JSON has no place for half a surrogate pair
        peak_memory_mb=peak_memory_mb() if parent_process() is not None else None,
        provenance=provenance(job.device, tuned=job.tuned),
    )


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether Python, torch on the CPU, or torch on an accelerator ran out of memory."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return isinstance(error, RuntimeError) and any(
        sign in str(error) for sign in ("can't allocate memory", "not enough memory", "out of memory")
    )


def _settle_in(log: Path) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what Ctrl-C means
    die_with_parent()
    _log_to(log)


def die_with_parent() -> None:
    """End this process when its parent ends: otherwise it would go on with work that the next `run` does again."""
    parent = parent_process()
    if parent is None:
        return

    def watch() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _log_to(path: Path) -> None:
    """Write everything that is printed to a file, so that it does not disturb the display."""
    path.parent.mkdir(parents=True, exist_ok=True)
    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    sys.stdout.flush()
    sys.stderr.flush()
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)  # a crash loses what is not written yet
    faulthandler.enable()
