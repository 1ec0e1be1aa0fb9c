"""The commands of `lifelong wandb`: records sent to Weights & Biases, read back, and compared there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lifelong.commands.console import say, say_outcomes, stderr, stoppable
from lifelong.commands.records import protocols
from lifelong.errors import UsageError

if TYPE_CHECKING:
    from lifelong.records.record import Record

wandb_app = typer.Typer(no_args_is_help=True, help="Send records to Weights & Biases, and read them back.")


@wandb_app.command("push")
def push_(
    place: Annotated[
        Path, typer.Argument(metavar="DIR", help="A folder of records: results/digits-v1; or a published file.")
    ],
    offline: Annotated[bool, typer.Option("--offline", help="Write W&B's files, and send nothing.")] = False,
    project: Annotated[str, typer.Option(metavar="NAME", help="The W&B project.")] = "lifelong",
    entity: Annotated[str, typer.Option(metavar="NAME", help="Whose project it is; yours by default.")] = "",
    again: Annotated[bool, typer.Option("--again", help="Send also what is there already.")] = False,
) -> None:
    """Send records to W&B, a run for each.

    The same command again sends what is missing or has changed.
    """
    from lifelong.reporting.wandb.push import push

    records = _records(place.expanduser())
    with (
        stoppable("what was sent is noted, and the same command goes on from there"),
        _progress("sending", len(records)) as advanced,
    ):
        pushed = push(
            records,
            mode="offline" if offline else "online",
            directory=place.expanduser() if place.expanduser().is_dir() else Path(),
            project=project,
            entity=entity or None,
            protocols=protocols(),
            again=again,
            advanced=advanced,
        )
    for warning in pushed.warnings:
        say(warning)
    say(f"{pushed.sent} of {len(records)} records sent, {pushed.already} were there already")
    if pushed.warnings:
        raise typer.Exit(1)


def _records(place: Path) -> list[Record]:
    """The records in a place, each once."""
    from lifelong.records.sources import records_in
    from lifelong.reporting.wandb.record import run_id

    records: dict[str, Record] = {}
    for one in records_in(place):
        if one.record is None:
            say(f"{one.where} is no record ({one.reason}); left out")
        else:
            records[run_id(one.record)] = one.record
    if not records:
        raise UsageError(f"no records in {place}")
    return list(records.values())


@wandb_app.command("pull")
def pull_(
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="The folder to put them into: --out of run.")],
    source: Annotated[str, typer.Argument(metavar="[ENTITY/PROJECT]", help="The W&B project.")] = "",
    folder: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Read the files of offline runs in this folder instead.")
    ] = None,
) -> None:
    """Read W&B runs back into records.

    Nothing is overwritten. Where two results of one run differ, both are kept, and you are told.
    """
    from lifelong.reporting.wandb.access import split_project
    from lifelong.reporting.wandb.pull import pull, pull_offline

    if bool(source) == (folder is not None):
        raise UsageError("pull from where? name a W&B project as ENTITY/PROJECT, or give --folder DIR")
    into = out.expanduser()
    runs = pull(*split_project(source), into) if folder is None else pull_offline(folder.expanduser(), into)
    with stderr().status("reading runs"):
        say_outcomes("runs", runs)


@wandb_app.command("workspace")
def workspace_(
    target: Annotated[str, typer.Argument(metavar="ENTITY/PROJECT", help="The W&B project.")],
    board: Annotated[
        str, typer.Option("--board", metavar="BOARD", help="Save one view for each scenario of this board.")
    ] = "",
) -> None:
    """Save views in W&B that compare strategies."""
    from lifelong.reporting.wandb.access import split_project
    from lifelong.reporting.wandb.workspace import save, workspace

    entity, project = split_project(target)
    for chosen in _choices(board):
        typer.echo(save(workspace(entity, project, **chosen)))


def _choices(board: str) -> list[dict[str, str]]:
    """What each view shows: everything, or a scenario of a board."""
    if not board:
        return [{}]
    from lifelong.boards.board import load_board
    from lifelong.registry import scenarios

    loaded = load_board(board)
    return [{"board": loaded.name, "scenario": scenarios.get(name).name} for name in loaded.scenarios]


@contextmanager
def _progress(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """Show progress: a bar on a terminal, elsewhere a line for each tenth."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = stderr()
    if not console.is_terminal:
        yield lambda done: say(f"{what}: {done} of {total}") if total >= 10 and done % (total // 10) == 0 else None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task(what, total=total)
        yield lambda done: progress.update(task, completed=done)
