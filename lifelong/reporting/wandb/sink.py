"""Logs to Weights & Biases while a board runs: one process logs each record as it is written.

A run never waits for W&B, and never fails because of it. The board hands over the paths of records. A dead network, a
missing key, a slow server or a crash inside wandb costs, at worst, some of the view; a push makes it again from the
records.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.queues import Queue
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Literal, NamedTuple

from lifelong.records.record import Record, read
from lifelong.reporting.wandb.access import NO_KEY, forget_runs, has_credentials, reason, server_is_away
from lifelong.reporting.wandb.ledger import Ledger, Target
from lifelong.reporting.wandb.record import PROJECT, TIMEOUT_S, Mode, log_record
from lifelong.running.worker import die_with_parent

if TYPE_CHECKING:
    from multiprocessing.context import ForkContext, ForkServerContext, SpawnContext

    Context = ForkContext | ForkServerContext | SpawnContext
from lifelong.running.starting import without_main


class Report(NamedTuple):
    """What became of one record. `reason` says why it was not logged in the way that was asked for."""

    outcome: Literal["logged", "offline", "lost"]
    reason: str = ""


@dataclass
class Courier:
    """Logs records one by one. What cannot go online is logged offline instead."""

    mode: Mode
    directory: Path
    project: str = PROJECT
    protocols: Mapping[str, str] = field(default_factory=dict)
    timeout_s: float = TIMEOUT_S
    given_up: str = ""
    """Why the server is no longer asked; each further run would wait for it up to `timeout_s`."""
    ledgers: dict[Mode, Ledger] = field(default_factory=dict)
    """The lists of uploads, so that a later push leaves out what has been logged already."""

    def deliver(self, path: Path) -> Report:
        """Log the record in a file. Never raises."""
        try:
            record = read(path)
            if self.mode == "online" and not self.given_up:
                return self._upload(record)
            self._log(record, "offline")
        except Exception as error:
            return Report("lost", reason(error))
        return Report("offline", self.given_up) if self.given_up else Report("logged")

    def _upload(self, record: Record) -> Report:
        try:
            self._log(record, "online")
        except Exception as error:
            why = reason(error)
            if server_is_away(error):
                self.given_up = why
            forget_runs()
            self._log(record, "offline")
            return Report("offline", why)
        return Report("logged")

    def _log(self, record: Record, mode: Mode) -> None:
        log_record(
            record,
            mode=mode,
            directory=self.directory,
            project=self.project,
            protocol=self.protocols.get(record.spec.scenario.name),
            timeout_s=self.timeout_s,
        )
        if mode not in self.ledgers:
            self.ledgers[mode] = Ledger(self.directory, Target.of(mode, self.project))
        self.ledgers[mode].add(record)


def _serve(paths: Queue[str | None], reports: Connection, courier: Courier) -> None:
    """The logging process: log what comes until None comes, or until the parent is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the board, which then closes its sink
    die_with_parent()
    _redirect_output(courier.directory / "wandb" / "sink.log")
    while (path := paths.get()) is not None:
        reports.send(courier.deliver(Path(path)))
    forget_runs()


def _redirect_output(file: Path) -> None:
    """Keep what wandb and its helper process print, and the trace of a crash, out of the terminal."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("ab") as log:
        for stream in (1, 2):
            os.dup2(log.fileno(), stream)


class WandbSink:
    """Logs the records of a running board to W&B, in one process of its own.

    Args:
        mode: `online` without credentials falls back to `offline`, with one warning.
        directory: holds wandb's own `wandb` folder.
        project: the W&B project.
        protocols: by scenario name, for the tags.
        timeout_s: bounds the start and the end of an online run, in seconds each.
        context: how the process starts; a fork server by default, a fresh interpreter where there is none.
        push_command: the command that warnings name for sending the records later.
    """

    def __init__(
        self,
        mode: Mode,
        directory: Path,
        *,
        project: str = PROJECT,
        protocols: Mapping[str, str] | None = None,
        timeout_s: float = TIMEOUT_S,
        context: Context | None = None,
        push_command: str = "lifelong wandb push DIR",
    ) -> None:
        self._push_command = push_command
        self._sent = 0
        self._reports: Counter[Report] = Counter()
        self._warnings: list[str] = []
        if mode == "online" and not has_credentials():
            self._warnings.append(f"W&B: {NO_KEY}; logging offline in {directory}")
            mode = "offline"
        courier = Courier(mode, directory, project, dict(protocols or {}), timeout_s)
        context = context or _default_context()
        self._paths: Queue[str | None] = context.Queue()
        self._paths.cancel_join_thread()  # a board must end even if what is still in the queue is never read
        self._inbox, outbox = context.Pipe(duplex=False)
        self._process = context.Process(target=_serve, args=(self._paths, outbox, courier), daemon=True)
        with without_main():
            self._process.start()
        outbox.close()  # so that the inbox ends with the process

    def send(self, path: Path) -> None:
        """Log the record in this file later; return at once."""
        self._sent += 1
        self._paths.put(str(path))
        self._read_reports(timeout_s=0)

    def close(self, timeout_s: float = 60.0) -> list[str]:
        """Wait until all is logged, at most `timeout_s` seconds, and end the process.

        Returns:
            What a person should know, a sentence each; empty where all went as asked.
        """
        deadline = monotonic() + timeout_s
        self._paths.put(None)
        while self._read_reports(max(0.0, deadline - monotonic())):
            pass
        self._process.join(max(0.0, deadline - monotonic()))
        busy = self._process.is_alive()
        if busy:
            self._process.kill()
            self._process.join()
        self._paths.close()
        if unanswered := self._sent - self._reports.total():
            why = f"the server took longer than {timeout_s:g} s" if busy else "the logging process stopped"
            self._reports[Report("lost", why)] = unanswered
        return self._warnings + [self._warning(report, n) for report, n in self._reports.items() if report.reason]

    def _read_reports(self, timeout_s: float) -> bool:
        """Take in what the process reports. Return False where nothing came in time, or nothing more can come."""
        try:
            came = self._inbox.poll(timeout_s)
            while self._inbox.poll(0):
                self._reports[self._inbox.recv()] += 1
        except (EOFError, OSError):
            return False
        return came

    def _warning(self, report: Report, n: int) -> str:
        runs = "1 run was" if n == 1 else f"{n} runs were"
        outcome = "logged offline instead" if report.outcome == "offline" else "not logged"
        return f"W&B: {runs} {outcome} ({report.reason}); records are safe, `{self._push_command}` sends them later"


def _default_context() -> Context:
    if "forkserver" in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("forkserver")
    return multiprocessing.get_context("spawn")
