"""The command `lifelong run`: carry out what a board misses."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lifelong.commands.board import print_board
from lifelong.commands.console import RESUMES, say, stderr, stoppable, writing_to
from lifelong.commands.options import BoardName, Machine, Own, Part, Source, duration, spread
from lifelong.commands.records import planned, protocols

if TYPE_CHECKING:
    from lifelong.boards.plan import Wishes
    from lifelong.records.record import Record
    from lifelong.records.store import Store
    from lifelong.running.launch import Options
    from lifelong.running.scheduler import Advanced, Finished
    from lifelong.training.job import Job


class Wandb(StrEnum):
    """Where runs are logged."""

    offline = "offline"
    online = "online"
    off = "off"


class Keep(StrEnum):
    """What is stored beside the records."""

    networks = "networks"


@spread
def run(
    board: BoardName,
    part: Part,
    own: Own,
    machine: Machine,
    wandb: Annotated[
        Wandb, typer.Option(metavar="MODE", help="Weights & Biases: offline, online or off.")
    ] = Wandb.offline,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Run failed cells again.")] = False,
    limit: Annotated[int | None, typer.Option(min=1, metavar="N", help="Run at most N cells.")] = None,
    keep: Annotated[list[Keep] | None, typer.Option(metavar="WHAT", help="Keep beside the record: networks.")] = None,
    checkpoint_every: Annotated[str, typer.Option(metavar="TIME", help="Save unfinished runs this often.")] = "1m",
) -> None:
    """Run what a board misses, and print the ranking.

    The same command goes on where it was stopped. What is done is not run again.
    """
    from lifelong.running.launch import Options

    options = Options(
        workers=machine.workers,
        timeout_s=machine.timeout_s,
        checkpoint_s=duration("--checkpoint-every", checkpoint_every),
        data=machine.data,
        device=machine.device,
        wandb=wandb.value,
        retry_failed=retry_failed,
        limit=limit,
        keep_networks=bool(keep),
    )
    with stoppable(RESUMES):
        failed = run_missing(board, part.wishes, options, own.out)
    print_board(board, part.wishes, Source(own.out))
    if failed:
        raise typer.Exit(1)


def run_missing(name: str, wishes: Wishes, options: Options, out: Path) -> bool:
    """Carry out what a board misses.

    Returns:
        Whether any of the cells asked for has failed, now or earlier.

    Raises:
        UsageError: if the request cannot be carried out; nothing has been trained by then.
        KeyboardInterrupt: if it was stopped; what is done is kept.
    """
    from lifelong.reporting.text.overview import summary
    from lifelong.running import launch

    plan, store = planned(name, wishes, out)
    for reason in dict.fromkeys(cell.reason for cell in plan.cells if cell.state == "impossible"):
        say(f"skipped: {reason}")
    jobs = launch.make_jobs(plan, store, options)
    with writing_to(store.root):
        for sentence in launch.rescue(plan):
            say(sentence)
    if not jobs:
        say(f"nothing to run: {summary(plan.cells)}")
        return any(cell.state == "failed" for cell in plan.cells)
    with writing_to(store.root, "; what is done is kept"):
        records = _carried_out(jobs, options, store)
    ended = {record.key for record in records}
    earlier = (cell for cell in plan.cells if cell.state == "failed" and cell.record and cell.record.key not in ended)
    return not all(record.ok for record in records) or any(earlier)


def _carried_out(jobs: Sequence[Job], options: Options, store: Store) -> list[Record]:
    """The records of jobs, which are shown while they run, and logged to W&B as they end."""
    from lifelong.reporting.text.progress import display
    from lifelong.running import launch
    from lifelong.running.scheduler import Finished

    workers = launch.worker_count(options.workers, len(jobs))
    with _log_to_wandb(options, store) as log, display(stderr(), store.board, len(jobs), workers) as progress:

        def tell(event: Advanced | Finished) -> None:
            progress.show(event)
            if isinstance(event, Finished):
                log(event.path)

        return launch.run(jobs, options, tell)


@contextmanager
def _log_to_wandb(options: Options, store: Store) -> Iterator[Callable[[Path], None]]:
    """Yield what logs a record to W&B. It starts with the first one: before, the server that forks it is not ready."""
    from lifelong.reporting.wandb.sink import WandbSink
    from lifelong.running.scheduler import fork_server

    sinks: list[WandbSink] = []

    def log(path: Path) -> None:
        if options.wandb == "off":
            return
        if not sinks:
            push = f"lifelong wandb push {shlex.quote(str(store.root))}"
            sink = WandbSink(options.wandb, store.root, protocols=protocols(), context=fork_server(), push_command=push)
            sinks.append(sink)
        sinks[0].send(path)

    try:
        yield log
    finally:
        for sink in sinks:
            for warning in sink.close():
                say(warning)
