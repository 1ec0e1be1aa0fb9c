"""Shows how far a board has come while it runs: bars on a terminal, plain lines elsewhere. All of it goes to stderr."""

from __future__ import annotations

import math
from types import TracebackType
from typing import Protocol

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.text import Text

from lifelong.measures.continual import validate
from lifelong.records.metrics import RUN_METRICS
from lifelong.records.record import Record
from lifelong.reporting.text.numbers import write
from lifelong.running.scheduler import Advanced, Finished
from lifelong.training.job import Job


class Display(Protocol):
    """Shows what happens, as it happens."""

    def __enter__(self) -> Display: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def show(self, event: Advanced | Finished) -> None: ...


def display(console: Console, board: str, total: int, workers: int) -> Display:
    """Return the display that fits the console."""
    return Bars(console, board, total, workers) if console.is_terminal else Lines(console, board, total, workers)


def title(job: Job) -> str:
    """Name a run: `digits-class · ewc · seed 0`."""
    return f"{job.spec.scenario.name} · {job.spec.strategy.name} · seed {job.spec.seed}"


def outcome(record: Record) -> str:
    """Tell what came of a run in a few words: the first of some metrics that it has, or why it has none."""
    if record.accuracy is None:
        return f"{record.status}: {record.reason}"
    R, total = validate(record.accuracy), f"{record.times.total_s:.1f} s"
    for metric in map(RUN_METRICS.__getitem__, ("average_accuracy", "online_accuracy", "online_loss")):
        if not math.isnan(value := metric(record, R)):
            return f"{metric.title.lower()} {write(value, metric.quantity)}, {total}"
    return total


class Lines:
    """One line for each run that ends."""

    def __init__(self, console: Console, board: str, total: int, workers: int) -> None:
        self._console, self._total, self._ended = console, total, 0
        self._first = f"{board}: {total} to run, {workers} at a time; loading torch and Avalanche"

    def __enter__(self) -> Lines:
        self._console.print(Text(self._first), soft_wrap=True)
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def show(self, event: Advanced | Finished) -> None:
        if isinstance(event, Finished):
            self._ended += 1
            line = f"[{self._ended}/{self._total}] {title(event.job)}: {outcome(event.record)}"
            self._console.print(Text(line), soft_wrap=True)


class Bars:
    """A bar for the board and one for each worker; failures are printed above them and stay."""

    def __init__(self, console: Console, board: str, total: int, workers: int) -> None:
        self._console = console
        self._progress = Progress(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), console=console
        )
        self._board = self._progress.add_task(f"[bold]{escape(board)}", total=total)
        self._workers: list[TaskID] = [
            self._progress.add_task("loading torch and Avalanche", total=None) for _ in range(workers)
        ]

    def __enter__(self) -> Bars:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._workers:
            self._progress.remove_task(worker)
        self._progress.stop()

    def show(self, event: Advanced | Finished) -> None:
        worker = self._workers[event.worker]
        if isinstance(event, Finished):
            self._progress.advance(self._board)
            self._progress.reset(worker, description="[dim]waiting", total=1)
            if not event.record.ok:
                line = Text(f"{title(event.job)}: {outcome(event.record)}", style="red")
                self._progress.console.print(line, soft_wrap=True)
        elif event.total:
            self._progress.update(worker, description=escape(title(event.job)), total=event.total, completed=event.done)
        else:
            self._progress.reset(worker, description=escape(title(event.job)), total=None)
