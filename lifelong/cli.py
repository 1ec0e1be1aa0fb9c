"""The command line. Tables go to stdout, all else to stderr; heavy imports happen inside the commands.

Exit codes: 0 all went well, 1 some runs failed, 2 the request is wrong, 130 stopped with Ctrl-C.
"""

from __future__ import annotations

import sys
from enum import StrEnum
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated, Any

import typer

from lifelong.commands.baselines import baselines
from lifelong.commands.check import check
from lifelong.commands.common import RESUMES, planned, print_board, run_missing, say, say_damaged, stdout, stoppable
from lifelong.commands.compare import compare
from lifelong.commands.figures import figures
from lifelong.commands.options import (
    RESULTS,
    BoardName,
    Data,
    Device,
    Form,
    Json,
    Metrics,
    Out,
    Published,
    Scenarios,
    Seeds,
    Sets,
    Strategies,
    Timeout,
    Workers,
    duration,
    timeout_of,
    wishes_of,
)
from lifelong.commands.page import page
from lifelong.commands.sharing import merge, verify
from lifelong.commands.targets import targets
from lifelong.commands.tune import tune
from lifelong.commands.wandb import wandb_app
from lifelong.errors import UsageError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="A leaderboard for continual learning in which the contestants may change their own structure.",
    epilog="Start with: lifelong run digits-v1",
)
app.add_typer(wandb_app, name="wandb")


class Kind(StrEnum):
    boards = "boards"
    scenarios = "scenarios"
    strategies = "strategies"


class One(StrEnum):
    board = "board"
    scenario = "scenario"
    strategy = "strategy"


class Wandb(StrEnum):
    offline = "offline"
    online = "online"
    off = "off"


def _print_version(wanted: bool) -> None:
    if wanted:
        from lifelong import __version__

        typer.echo(f"lifelong {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    pass


@app.command("list")
def list_(
    kind: Annotated[Kind, typer.Argument(help="What to list.")],
    pattern: Annotated[str, typer.Argument(metavar="[GLOB]", help="Only names that match, as 'mnist-*'.")] = "*",
    as_json: Json = False,
) -> None:
    """List boards, scenarios or strategies."""
    from lifelong.reporting.text import listing

    found = listing.rows(kind.value, pattern)
    if not found:
        say(f"no {kind.value} match {pattern!r}")
    if as_json:
        sys.stdout.write(listing.as_json(found))
    else:
        listing.print_rows(stdout(), found)


@app.command()
def show(
    kind: Annotated[One, typer.Argument(help="What it is.")],
    name: Annotated[str, typer.Argument(help="Its name, or file.py:name.")],
    as_json: Json = False,
) -> None:
    """Show one board, scenario or strategy in full: parameters, source, licence, needs."""
    from lifelong.registry import scenarios, strategies
    from lifelong.reporting.text import listing

    known: dict[str, Any]
    if kind is One.board:
        known = listing.board_as_data(name)
    else:
        known = listing.entry_as_data(strategies.get(name) if kind is One.strategy else scenarios.get(name))
    if as_json:
        sys.stdout.write(listing.as_json(known))
    else:
        listing.print_details(stdout(), known)


@app.command()
def plan(
    board: BoardName,
    strategy: Strategies = None,
    scenario: Scenarios = None,
    seeds: Seeds = "",
    settings: Sets = None,
    out: Out = RESULTS,
) -> None:
    """Show which cells are done, missing or impossible (and why), before anything runs."""
    from lifelong.reporting.text.overview import print_cells

    made, store = planned(board, wishes_of(strategy, scenario, seeds, settings), out)
    say_damaged(made, store)
    print_cells(stdout(), made)


@app.command()
def run(
    board: BoardName,
    strategy: Strategies = None,
    scenario: Scenarios = None,
    seeds: Seeds = "",
    settings: Sets = None,
    out: Out = RESULTS,
    workers: Workers = None,
    timeout: Timeout = "",
    data: Data = None,
    device: Device = "auto",
    wandb: Annotated[Wandb, typer.Option(help="Weights & Biases.")] = Wandb.offline,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Run failed cells again.")] = False,
    limit: Annotated[int | None, typer.Option(min=1, help="At most this many of the missing cells.")] = None,
    checkpoint_every: Annotated[str, typer.Option(help="Save unfinished runs at most this often.")] = "1m",
) -> None:
    """Run what a board misses, and print the ranking. Running it again resumes."""
    from lifelong.running.launch import Options

    wishes = wishes_of(strategy, scenario, seeds, settings)
    options = Options(
        workers=workers,
        timeout_s=timeout_of(timeout),
        checkpoint_s=duration("--checkpoint-every", checkpoint_every),
        data=data,
        device=device,
        wandb=wandb.value,
        retry_failed=retry_failed,
        limit=limit,
    )
    with stoppable(RESUMES):
        failed = run_missing(board, wishes, options, out)
    print_board(board, wishes, out)
    if failed:
        raise typer.Exit(1)


@app.command()
def status(
    board: BoardName,
    strategy: Strategies = None,
    scenario: Scenarios = None,
    seeds: Seeds = "",
    settings: Sets = None,
    out: Out = RESULTS,
) -> None:
    """Show how far a board has come, and what failed."""
    from lifelong.reporting.text.overview import print_failures, summary

    made, store = planned(board, wishes_of(strategy, scenario, seeds, settings), out)
    say_damaged(made, store)
    print_failures(stdout(), made, store)
    waiting = len(list(store.root.glob(".checkpoints/*.pkl")))
    stdout().print(summary(made.cells) + (f"; {waiting} begun" if waiting else ""))


@app.command("board")
def board_(
    board: BoardName,
    strategy: Strategies = None,
    scenario: Scenarios = None,
    seeds: Seeds = "",
    settings: Sets = None,
    out: Out = RESULTS,
    form: Annotated[
        Form, typer.Option("--format", help="table, md, csv or json; jsonl for the records themselves.")
    ] = Form.table,
    metric: Metrics = None,
    published: Published = None,
    output: Annotated[
        Path | None, typer.Option("--output", help="Write to this file; compressed where it ends in .gz.")
    ] = None,
) -> None:
    """Print the ranking: one table for each scenario."""
    if output is not None and form is Form.table:
        raise UsageError("--output: a table is for the terminal; choose --format md, csv, json or jsonl")
    wishes = wishes_of(strategy, scenario, seeds, settings)
    print_board(board, wishes, out, form, metric, published, output)


app.command()(check)
app.command()(compare)
app.command()(figures)
app.command()(page)
app.command()(targets)
app.command()(baselines)
app.command()(tune)
app.command()(verify)
app.command()(merge)


def main() -> None:
    """The `lifelong` command."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that knows no arrow shows another sign, not a traceback
    try:
        app()
    except UsageError as error:
        say(f"lifelong: {error}")
        sys.exit(2)


if __name__ == "__main__":
    main()
