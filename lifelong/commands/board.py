"""The command `lifelong board`: the ranking."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lifelong.commands.console import answer, check_form, write_out
from lifelong.commands.options import BoardName, Form, Metrics, Output, Part, Source, spread
from lifelong.commands.records import metrics_of, results_of

if TYPE_CHECKING:
    from lifelong.boards.plan import Wishes

RankingForms = Annotated[
    Form,
    typer.Option("--format", metavar="FORM", help="The form: table, md, csv, json; jsonl for the records."),
]


@spread
def board(
    board: BoardName,
    part: Part,
    source: Source,
    form: RankingForms = Form.table,
    metric: Metrics = None,
    output: Output = None,
) -> None:
    """Print the ranking: one table for each scenario."""
    check_form(form, output, records=True)
    print_board(board, part.wishes, source, form, metric, output)


def print_board(
    name: str,
    wishes: Wishes,
    source: Source,
    form: Form = Form.table,
    metrics: Sequence[str] | None = None,
    output: Path | None = None,
) -> None:
    """Print a board's rankings to stdout, or write them to a file.

    Args:
        name: the board's.
        wishes: what to leave out.
        source: where the records are.
        form: `jsonl` for the records themselves.
        metrics: instead of the board's.
        output: a file to write.

    Raises:
        UsageError: if a name, a parameter or a file is wrong, or the file cannot be written.
    """
    from lifelong.records.published import as_lines
    from lifelong.reporting.statistics.standings import standings
    from lifelong.reporting.text.rankings import ranking_report

    results = results_of(name, wishes, source)
    if form is Form.jsonl:
        write_out(output, as_lines(results.records))
        return
    chosen = metrics_of(metrics, results.board)
    answer(ranking_report(standings(results.contests(), chosen), chosen), form, output)
