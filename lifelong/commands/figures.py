"""The command `lifelong figures`: a board as pictures for papers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lifelong.commands.options import BoardName, Metrics, Part, Source, spread
from lifelong.commands.records import metrics_of, results_of
from lifelong.errors import UsageError


@spread
def figures(
    board: BoardName,
    part: Part,
    source: Source,
    metric: Metrics = None,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="The folder to write to.")] = Path(
        "figures"
    ),
) -> None:
    """Write a board's charts as SVG and PNG, with their numbers as CSV."""
    from lifelong.reporting.charts.figures import write_figures

    results = results_of(board, part.wishes, source)
    if not results.records:
        raise UsageError(f"there is nothing to draw of {board}")
    metrics = metrics_of(metric, results.board)
    for path in write_figures(results.board.name, results.contests(), metrics, output.expanduser()):
        typer.echo(path)
