"""The command `lifelong baselines`: how each stands against the numbers that others have published."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lifelong.commands.common import check_form, roles, stdout, write_out
from lifelong.commands.options import Form
from lifelong.errors import UsageError

if TYPE_CHECKING:
    from lifelong.reporting.statistics.targets import TargetOutcome


def baselines(
    form: Annotated[Form, typer.Option("--format", help="table, md or json.")] = Form.table,
    output: Annotated[Path | None, typer.Option("--output", help="Write to this file.")] = None,
) -> None:
    """List the baselines: what each needs, how it stands against published numbers, and how to run it again."""
    check_form(form, output)
    if form is Form.csv:
        raise UsageError("--format csv: choose table, md or json")
    from lifelong.reporting.text import listing
    from lifelong.reporting.text.baselines import markdown, rows

    found = _of_all_boards()
    if form is Form.md:
        write_out(output, markdown(found))
    elif form is Form.json:
        write_out(output, listing.as_json(list(rows(found))))
    else:
        shown = ("name", "needs", "published", "summary")
        listing.print_rows(stdout(), [{name: row[name] for name in shown} for row in rows(found)])


def _of_all_boards() -> dict[str, list[TargetOutcome]]:
    """By its name, what the published records of each installed board with targets come to."""
    from lifelong.boards.board import load_board
    from lifelong.boards.plan import AtHand, Wishes, make_plan
    from lifelong.records.published import Published
    from lifelong.registry import boards
    from lifelong.reporting.statistics.scores import contests
    from lifelong.reporting.statistics.targets import outcomes

    found = {}
    for name, file in boards().items():
        board = load_board(name)
        if board.targets:
            records = file.parent / "results" / f"{name}.jsonl.gz"
            plan = make_plan(board, Wishes(), Published(records, board.name) if records.exists() else AtHand())
            field = contests(plan.ranked(everyone=True), roles(), plan.cells)
            found[name] = outcomes(board.targets, plan.cells, field)
    return found


__all__ = ["baselines"]
