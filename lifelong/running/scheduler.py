"""Many runs: one process for each, forked from a server that has already loaded torch and Avalanche."""

from __future__ import annotations

import multiprocessing
import signal
import threading
import time
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from multiprocessing import forkserver
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from lifelong.errors import UsageError
from lifelong.records.record import Record, Status, read
from lifelong.running.starting import without_main
from lifelong.running.worker import failure, run_job, try_out
from lifelong.training.job import Job


@dataclass(frozen=True)
class Advanced:
    """Tells that a run has done some of its experiences."""

    worker: int
    job: Job
    done: int
    total: int


@dataclass(frozen=True)
class Finished:
    """Tells that a run has ended, and left its record."""

    worker: int
    job: Job
    record: Record
    path: Path


@dataclass
class _Running:
    job: Job
    process: BaseProcess
    connection: Connection
    deadline: float
    record_before: int
    """The inode of the record that an earlier try of this run left; 0 where there is none."""
    killed_by_kernel_before: int = field(default_factory=lambda: _oom_kills())


@cache  # Ctrl-C is lost while the server starts, so it is started only once
def fork_server() -> Any:
    """Return the multiprocessing context whose processes start with everything loaded.

    Where there is no fork server, such as on Windows, each process is spawned and loads everything itself.
    """
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["lifelong.running.preload"])
    with _ignoring_ctrl_c(), without_main():
        forkserver.ensure_running()
    return context


@contextmanager
def _ignoring_ctrl_c() -> Iterator[None]:
    """Let a process that is started in the `with` block ignore Ctrl-C from its first moment on: we handle it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def refuse_what_cannot_be_built(jobs: Sequence[Job], timeout_s: float | None = None) -> None:
    """Build each kind of run once, in one other process, before any is trained.

    A crash there is not reported, because the run itself will report it. The check takes at most a minute, and at most
    as long as a run may take; it passes if no refusal has come by then.

    Args:
        jobs: the runs.
        timeout_s: the seconds that a run may take; None for any number.

    Raises:
        UsageError: if a scenario, a model or a strategy refuses its parameters.
    """
    receiver, sender = (context := fork_server()).Pipe(duplex=False)
    process = context.Process(target=try_out, args=(list(jobs), sender), name="try-out", daemon=True)
    with without_main():
        process.start()
    sender.close()
    refusal = None
    try:
        receiver.recv()  # once torch and Avalanche are loaded
        if receiver.poll(min(timeout_s or 60.0, 60.0)):
            refusal = receiver.recv()
    except EOFError:
        pass
    finally:
        process.kill()
        process.join()
    if refusal is not None:
        raise UsageError(refusal)


def run_all(jobs: Sequence[Job], workers: int, timeout_s: float | None = None) -> Generator[Advanced | Finished]:
    """Carry out jobs side by side; each ends with a record, whatever happens to its process.

    Args:
        jobs: the runs, in order.
        workers: the number of processes at a time.
        timeout_s: the seconds after which a run is killed; None for never.

    Yields:
        Everything that happens, as it happens. Closing the iterator kills the processes that are running.
    """
    context = fork_server()
    waiting = deque(jobs)
    running: dict[int, _Running] = {}
    try:
        while waiting or running:
            while waiting and (free := _free(running, workers)) is not None:
                running[free] = _start(context, waiting.popleft(), timeout_s)
                yield Advanced(free, running[free].job, 0, 0)
            _sleep_until_something_happens(running)
            for worker, run in list(running.items()):
                yield from _news(worker, run)
                if (finished := _finished(worker, run)) is not None:
                    del running[worker]
                    yield finished
    finally:
        for run in running.values():
            run.process.kill()
            run.process.join()


def _free(running: dict[int, _Running], workers: int) -> int | None:
    return next((worker for worker in range(workers) if worker not in running), None)


def _start(context: Any, job: Job, timeout_s: float | None) -> _Running:
    receiver, sender = context.Pipe(duplex=False)
    record_before = _inode(job.store.path(job.spec))
    process = context.Process(target=run_job, args=(job, sender), name=job.spec.key[:12], daemon=True)
    with without_main():
        process.start()
    sender.close()
    deadline = time.monotonic() + timeout_s if timeout_s is not None else float("inf")
    return _Running(job, process, receiver, deadline, record_before)


def _sleep_until_something_happens(running: dict[int, _Running]) -> None:
    watched = [handle for run in running.values() for handle in (run.connection, run.process.sentinel)]
    patience = min(run.deadline for run in running.values()) - time.monotonic()
    wait(watched, timeout=max(0.0, min(patience, 1.0)))


def _news(worker: int, run: _Running) -> Iterator[Advanced]:
    try:
        while run.connection.poll():
            done, total = run.connection.recv()
            yield Advanced(worker, run.job, done, total)
    except (EOFError, OSError):
        # the run has closed its end and will end soon; until then `wait` would return at once, again and again
        run.process.join(timeout=max(0.0, min(run.deadline - time.monotonic(), 5.0)))


def _finished(worker: int, run: _Running) -> Finished | None:
    """Return the record of a run that has ended, or whose time is up; None while it goes on."""
    late = time.monotonic() >= run.deadline
    if run.process.is_alive() and not late:
        return None
    if run.process.is_alive():
        run.process.kill()
    run.process.join()
    run.connection.close()
    store = run.job.store
    path = store.path(run.job.spec)
    if run.process.exitcode == 0 and _inode(path) not in (0, run.record_before):
        with suppress(ValueError):  # a record that cannot be read is none
            return Finished(worker, run.job, read(path), path)
    record = failure(run.job, *_cause(run, late))
    return Finished(worker, run.job, record, store.write(record))


def _inode(path: Path) -> int:
    return path.stat().st_ino if path.exists() else 0


def _cause(run: _Running, late: bool) -> tuple[Status, str]:
    """Tell why a process ended without leaving a record itself."""
    if late:
        return "timeout", "killed when its time was up"
    code = run.process.exitcode or 0
    last_words = _last_words(run.job)
    if code == -signal.SIGKILL and _oom_kills() > run.killed_by_kernel_before:
        return "out of memory", f"killed by the kernel, which was out of memory{last_words}"
    if code < 0:
        return "failed", f"killed by {signal.Signals(-code).name}{last_words}"
    return "failed", f"the process left with exit code {code} and no record{last_words}"


def _last_words(job: Job) -> str:
    """Return the end of what a process printed, because a crash in compiled code leaves its stack there."""
    try:
        lines = job.store.log(job.spec).read_text(errors="replace").splitlines()
    except OSError:
        return ""
    # the stack is followed by the names of some hundred loaded modules, on one line
    text = "\n".join(line for line in lines if not line.startswith("Extension modules:"))[-4000:].strip()
    return f"\n\nIt last printed:\n{text}" if text else ""


def _oom_kills() -> int:
    """Return how many processes the kernel has killed since its start because memory ran out; 0 if it does not tell."""
    try:
        lines = Path("/proc/vmstat").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)
