"""The command line. Results go to stdout, all else to stderr; heavy imports happen inside the commands.

Exit codes: 0 all went well, 1 some runs failed, 2 the request is wrong, 130 stopped with Ctrl-C.
"""

from __future__ import annotations

import sys
from io import TextIOWrapper
from typing import Annotated

import typer

from lifelong.commands.baselines import baselines
from lifelong.commands.board import board
from lifelong.commands.check import check
from lifelong.commands.compare import compare
from lifelong.commands.console import say
from lifelong.commands.figures import figures
from lifelong.commands.list import list_
from lifelong.commands.merge import merge
from lifelong.commands.page import page
from lifelong.commands.plan import plan
from lifelong.commands.run import run
from lifelong.commands.show import show
from lifelong.commands.status import status
from lifelong.commands.targets import targets
from lifelong.commands.tune import tune
from lifelong.commands.verify import verify
from lifelong.commands.wandb import wandb_app
from lifelong.errors import UsageError

LOOK, RUN, RESULTS, SHARE = "Look around", "Run", "Look at results", "Share results"

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="A leaderboard for continual learning in which the contestants may change their own structure.",
    epilog="Start with: lifelong run digits-v1",
)
app.command("list", rich_help_panel=LOOK)(list_)
app.command(rich_help_panel=LOOK)(show)
app.command(rich_help_panel=LOOK)(baselines)
app.command(rich_help_panel=RUN)(check)
app.command(rich_help_panel=RUN)(plan)
app.command(rich_help_panel=RUN)(run)
app.command(rich_help_panel=RUN)(status)
app.command(rich_help_panel=RUN)(tune)
app.command(rich_help_panel=RESULTS)(board)
app.command(rich_help_panel=RESULTS)(compare)
app.command(rich_help_panel=RESULTS)(targets)
app.command(rich_help_panel=RESULTS)(page)
app.command(rich_help_panel=RESULTS)(figures)
app.command(rich_help_panel=SHARE)(verify)
app.command(rich_help_panel=SHARE)(merge)
app.add_typer(wandb_app, name="wandb", rich_help_panel=SHARE)


def _print_version(wanted: bool) -> None:
    if wanted:
        from lifelong import __version__

        typer.echo(f"lifelong {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the `lifelong` command."""
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
