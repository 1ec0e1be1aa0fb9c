"""`lifelong figures`: a board as pictures for papers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lifelong.commands.common import contests_of, metrics_of
from lifelong.commands.options import (
    RESULTS,
    BoardName,
    Metrics,
    Out,
    Published,
    Scenarios,
    Seeds,
    Sets,
    Strategies,
    wishes_of,
)
from lifelong.errors import UsageError


def figures(
    board: BoardName,
    strategy: Strategies = None,
    scenario: Scenarios = None,
    seeds: Seeds = "",
    settings: Sets = None,
    out: Out = RESULTS,
    metric: Metrics = None,
    published: Published = None,
    output: Annotated[Path, typer.Option("-o", "--output", help="The folder to write to.")] = Path("figures"),
) -> None:
    """Write a board's charts as SVG and PNG, with their numbers as CSV beside them."""
    from lifelong.reporting.charts.figures import write_figures

    plan, contests = contests_of(board, wishes_of(strategy, scenario, seeds, settings), out, published)
    if not contests:
        raise UsageError(f"there is nothing to draw of {board}")
    metrics = metrics_of(metric, plan.board)
    for path in write_figures(plan.board.name, contests, metrics, output.expanduser()):
        typer.echo(path)


__all__ = ["figures"]
