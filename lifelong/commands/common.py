"""What the commands of the command line do once their options are understood. Light to import, as `lifelong.cli` is."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, cast

import typer

from lifelong.commands.options import Form
from lifelong.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from lifelong.boards.board import Board
    from lifelong.boards.plan import Plan, Wishes
    from lifelong.contracts import Role
    from lifelong.records.record import Record
    from lifelong.records.store import Store
    from lifelong.reporting.statistics.scores import Contest
    from lifelong.reporting.text.rankings import Format
    from lifelong.running.launch import Options
    from lifelong.running.scheduler import Advanced
    from lifelong.training.job import Job

RESUMES = "what is done is kept, and the same command goes on from there"


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

    made, store = planned(name, wishes, out)
    for reason in dict.fromkeys(cell.reason for cell in made.cells if cell.state == "impossible"):
        say(f"skipped: {reason}")
    jobs = launch.make_jobs(made, store, options)
    with writing_to(store.root):
        for sentence in launch.rescue(made):
            say(sentence)
    if not jobs:
        say(f"nothing to run: {summary(made.cells)}")
        return any(cell.state == "failed" for cell in made.cells)
    with writing_to(store.root, "; what is done is kept"):
        records = _carried_out(jobs, options, store)
    ended = {record.key for record in records}
    earlier = (cell for cell in made.cells if cell.state == "failed" and cell.record and cell.record.key not in ended)
    return not all(record.ok for record in records) or any(earlier)


def _carried_out(jobs: Sequence[Job], options: Options, store: Store) -> list[Record]:
    """The records of jobs, which are shown while they run, and logged to W&B as they end."""
    from lifelong.reporting.text.progress import display
    from lifelong.running import launch
    from lifelong.running.scheduler import Finished

    workers = launch.worker_count(options.workers, len(jobs))
    with log_to_wandb(options, store) as log, display(stderr(), store.board, len(jobs), workers) as shown:

        def tell(event: Advanced | Finished) -> None:
            shown.show(event)
            if isinstance(event, Finished):
                log(event.path)

        return launch.run(jobs, options, tell)


@contextmanager
def stoppable(kept: str) -> Iterator[None]:
    """Work that Ctrl-C may end.

    Args:
        kept: what to tell of it then.

    Raises:
        Exit: 130, if it is stopped.
    """
    try:
        yield
    except KeyboardInterrupt:
        say(f"stopped; {kept}")
        raise typer.Exit(130) from None


@contextmanager
def writing_to(folder: Path, kept: str = "") -> Iterator[None]:
    """Work that writes to a folder.

    Args:
        folder: where.
        kept: what to tell beside the reason.

    Raises:
        UsageError: if it cannot.
    """
    from lifelong.records.record import why

    try:
        yield
    except OSError as error:
        raise UsageError(f"cannot write to {folder}: {why(error)}{kept}") from None


@contextmanager
def log_to_wandb(options: Options, store: Store) -> Iterator[Callable[[Path], None]]:
    """What logs a record to W&B. It starts with the first one: before, the server that forks it is not ready."""
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


def print_board(
    name: str,
    wishes: Wishes,
    out: Path,
    form: Form = Form.table,
    metrics: Sequence[str] | None = None,
    published: Path | None = None,
    output: Path | None = None,
) -> None:
    """Print a board's rankings to stdout, or write them to a file.

    Args:
        name: the board's.
        wishes: what to leave out.
        out: the folder of records.
        form: `jsonl` for the records themselves.
        metrics: instead of the board's.
        published: a file of records, instead of the folder.
        output: a file to write; compressed where its name ends in `.gz`.

    Raises:
        UsageError: if a name, a parameter or a file is wrong, or the file cannot be written.
    """
    from lifelong.records.published import as_lines
    from lifelong.reporting.statistics.standings import standings
    from lifelong.reporting.text.rankings import print_tables, render

    if form == Form.jsonl:
        _, records = records_of(name, wishes, out, published)
        write_out(output, as_lines(records))
        return
    made, field = contests_of(name, wishes, out, published)
    chosen = metrics_of(metrics, made.board)
    tables = standings(field, chosen)
    if form == Form.table:
        print_tables(stdout(), tables, chosen)
    else:
        write_out(output, render(tables, cast("Format", form), chosen))


def metrics_of(wished: Sequence[str] | None, board: Board) -> list[str]:
    """Names of `RUN_METRICS`, each once: those that are asked for, by an alias too, else the board's.

    Raises:
        UsageError: if there is no metric of such a name.
    """
    from lifelong.records.metrics import metric_name

    return list(dict.fromkeys(map(metric_name, wished or board.metrics)))


def contests_of(name: str, wishes: Wishes, out: Path, published: Path | None = None) -> tuple[Plan, list[Contest]]:
    """A board's plan, and its records arranged for comparison; see `records_of`."""
    from lifelong.reporting.statistics.scores import contests

    made, records = records_of(name, wishes, out, published)
    return made, contests(records, roles(), made.cells if records else ())


def records_of(name: str, wishes: Wishes, out: Path, published: Path | None = None) -> tuple[Plan, list[Record]]:
    """A board's plan, and the records that its tables are made of; says what is missing or left out.

    Args:
        name: the board's.
        wishes: what to leave out; where they name strategies, only these take part, beside floor and ceiling.
        out: the folder of records.
        published: a file of records, instead of the folder.

    Raises:
        UsageError: if a name, a parameter or a file is wrong.
    """
    from lifelong.boards.board import load_board
    from lifelong.boards.plan import make_plan
    from lifelong.records.published import Published

    if published is None:
        made, store = planned(name, wishes, out)
        say_damaged(made, store)
    else:
        board = load_board(name)
        made = make_plan(board, wishes, Published(published.expanduser(), board.name))
    records = made.ranked(everyone=not wishes.strategies)
    if not records:
        say(f"no records of {name} in {published or out} under these settings; start with: lifelong run {name}")
    if other := len(made.records) - len(records):
        say(f"{other} records of other scenarios, settings, seeds or strategies are left out")
    return made, records


def check_form(form: Form, output: Path | None) -> None:
    """See that a format fits what is no ranking.

    Raises:
        UsageError: if it does not.
    """
    if form is Form.jsonl:
        raise UsageError("--format jsonl is for records; choose table, md, csv or json")
    if output is not None and form is Form.table:
        raise UsageError("--output: a table is for the terminal; choose --format md, csv or json")


def write_out(path: Path | None, content: str) -> None:
    """To stdout, or to a file, compressed where its name ends in `.gz`.

    Raises:
        UsageError: if the file cannot be written.
    """
    if path is None:
        sys.stdout.write(content)
        return
    from lifelong.records.published import compressed
    from lifelong.records.record import why
    from lifelong.records.store import write_whole

    written = compressed(content) if path.suffix == ".gz" else content.encode()
    try:
        if path.exists() and not (path.is_file() or path.is_dir()):
            path.write_bytes(written)  # a device or a pipe, which a file must not take the place of
        else:
            write_whole(path, written)
    except OSError as error:
        raise UsageError(f"cannot write {path}: {why(error)}") from None


def planned(name: str, wishes: Wishes, out: Path) -> tuple[Plan, Store]:
    """A board's cells, compared with the records in the output folder."""
    from lifelong.boards.board import load_board
    from lifelong.boards.plan import make_plan
    from lifelong.records.store import Store

    loaded = load_board(name)
    store = Store(out.expanduser(), loaded.name)
    made = make_plan(loaded, wishes, store)
    return made, store


def protocols() -> dict[str, str]:
    """The protocol of each installed scenario."""
    from lifelong.registry import scenarios

    return {entry.name: entry.protocol for entry in scenarios.all().values()}


def roles() -> dict[str, Role]:
    """The role of each installed strategy."""
    from lifelong.registry import strategies

    return {entry.name: entry.role for entry in strategies.all().values()}


def stdout() -> Console:
    """Where tables go."""
    from rich.console import Console

    return Console()


def stderr() -> Console:
    """Where all else goes."""
    from rich.console import Console

    return Console(stderr=True)


def say_damaged(made: Plan, store: Store) -> None:
    """Tell which files lie in a record's place and are none."""
    for path, why in made.damaged.items():
        say(f"{path.relative_to(store.out)} is no record ({why}); 'lifelong run' will set it aside")


def say(sentence: str) -> None:
    """To the person, not into the table."""
    from lifelong.records.bounds import plain

    print("\n".join(map(plain, sentence.splitlines())), file=sys.stderr, flush=True)
