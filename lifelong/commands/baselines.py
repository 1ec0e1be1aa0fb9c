"""The command `lifelong baselines`: how each stands against the numbers that others have published."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from lifelong.commands.console import answer, check_form
from lifelong.commands.options import Form, Output
from lifelong.commands.records import published_with, roles
from lifelong.errors import UsageError

if TYPE_CHECKING:
    from lifelong.reporting.statistics.reproduction import TargetOutcome


def baselines(
    form: Annotated[Form, typer.Option("--format", metavar="FORM", help="The form: table, md or json.")] = Form.table,
    output: Output = None,
) -> None:
    """List the baselines, beside published numbers.

    They are told from the records that come with lifelong, not from your own.
    """
    check_form(form, output)
    if form is Form.csv:
        raise UsageError("--format csv: choose table, md or json")
    from lifelong.reporting.text.baselines import baseline_report

    answer(baseline_report(_of_all_boards()), form, output)


def _of_all_boards() -> dict[str, list[TargetOutcome]]:
    """What the published records of each installed board with targets come to, by the board's name."""
    from lifelong.boards.board import load_board
    from lifelong.boards.plan import AtHand, Wishes, make_plan
    from lifelong.records.published import Published
    from lifelong.registry import boards
    from lifelong.reporting.statistics.reproduction import outcomes
    from lifelong.reporting.statistics.scores import contests

    told = {}
    for name in boards():
        board = load_board(name)
        if board.targets:
            records = published_with(name)
            plan = make_plan(board, Wishes(), Published(records, board.name) if records else AtHand())
            arranged = contests(plan.ranked(everyone=True), roles(), plan.cells)
            told[name] = outcomes(board.targets, plan.cells, arranged)
    return told
