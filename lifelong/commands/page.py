"""The command `lifelong page`: a board to look at."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lifelong.commands.console import say, write_out
from lifelong.commands.options import BoardName, Metrics, Part, Source, spread
from lifelong.commands.records import metrics_of, results_of
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

    results = results_of(board, part.wishes, source)
    if not results.records:
        raise UsageError(f"there is nothing to show of {board}")
    file = output or Path(f"{results.board.name}.html")
    origin = f"records {results.origin}" if results.origin else ""
    html = written(board, results.plan, results.contests(), metrics_of(metric, results.board), origin)
    write_out(file, html)
    say(f"wrote {file}, {len(html.encode()) / 1e6:.1f} MB")
