"""The command `lifelong page`: a board to look at."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lifelong.commands.console import say, write_out
from lifelong.commands.options import BoardName, Metrics, Part, Source, spread
from lifelong.commands.records import metrics_of, shown
from lifelong.errors import UsageError


@spread
def page(
    board: BoardName,
    part: Part,
    source: Source,
    metric: Metrics = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="The file to write. BOARD.html by default.")
    ] = None,
) -> None:
    """Write a board's results as one HTML file, which needs no network."""
    from lifelong.reporting.page.write import page as written

    found = shown(board, part.wishes, source)
    if not found.records:
        raise UsageError(f"there is nothing to show of {board}")
    file = output or Path(f"{found.board.name}.html")
    html = written(board, found.plan, found.contests(), metrics_of(metric, found.board), found.origin)
    write_out(file, html)
    say(f"wrote {file}, {len(html.encode()) / 1e6:.1f} MB")
