"""`lifelong page`: a board to look at."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lifelong.commands.common import contests_of, metrics_of, say, write_out
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


def page(
    board: BoardName,
    strategy: Strategies = None,
    scenario: Scenarios = None,
    seeds: Seeds = "",
    settings: Sets = None,
    out: Out = RESULTS,
    metric: Metrics = None,
    published: Published = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="The file to write; BOARD.html by default.")
    ] = None,
) -> None:
    """Write a board's results as one HTML file, which needs no network."""
    from lifelong.reporting.page.write import page as written

    plan, contests = contests_of(board, wishes_of(strategy, scenario, seeds, settings), out, published)
    if not contests:
        raise UsageError(f"there is nothing to show of {board}")
    file = output or Path(f"{plan.board.name}.html")
    html = written(board, plan, contests, metrics_of(metric, plan.board))
    write_out(file, html)
    say(f"wrote {file}, {len(html.encode()) / 1e6:.1f} MB")


__all__ = ["page"]
