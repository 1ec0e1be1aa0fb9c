"""The command `lifelong targets`: does a board reach the numbers that others have published?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from lifelong.commands.common import check_form, contests_of, stdout, write_out
from lifelong.commands.options import (
    RESULTS,
    BoardName,
    Form,
    Out,
    Published,
    Scenarios,
    Seeds,
    Sets,
    Strategies,
    wishes_of,
)
from lifelong.errors import UsageError

if TYPE_CHECKING:
    from lifelong.reporting.text.rankings import Format


def targets(
    board: BoardName,
    strategy: Strategies = None,
    scenario: Scenarios = None,
    seeds: Seeds = "",
    settings: Sets = None,
    out: Out = RESULTS,
    published: Published = None,
    form: Annotated[Form, typer.Option("--format", help="table, md, csv or json.")] = Form.table,
    output: Annotated[Path | None, typer.Option("--output", help="Write to this file.")] = None,
) -> None:
    """Compare a board's runs with published numbers: which are reproduced, and how to run each again."""
    check_form(form, output)
    from lifelong.registry import strategies
    from lifelong.reporting.page.reproduce import command_for
    from lifelong.reporting.statistics.targets import outcomes
    from lifelong.reporting.text.targets import print_targets, render_targets

    wanted = {strategies.get(name).name for name in strategy or ()}
    plan, contests = contests_of(board, wishes_of(None, scenario, seeds, settings), out, published)
    if not plan.board.targets:
        raise UsageError(
            f"board {plan.board.name} has no targets; it would as [[targets]], each with scenario, strategy, value, "
            "tolerance and source"
        )
    cells = [cell for cell in plan.cells if not wanted or cell.strategy.name in wanted]
    found = outcomes(plan.board.targets, cells, contests)
    if not found:
        raise UsageError(f"board {plan.board.name} has no targets for these strategies on these scenarios")
    if form is Form.table:
        print_targets(stdout(), found)
        return
    specs = [one.spec for one in found if one.spec]
    command = command_for(board, plan, specs, seeds)
    commands = [command(one.spec) if one.spec else None for one in found]
    write_out(output, render_targets(found, commands, cast("Format", form.value)))


__all__ = ["targets"]
