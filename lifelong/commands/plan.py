"""The command `lifelong plan`: what a board would run."""

from __future__ import annotations

from lifelong.commands.console import answer
from lifelong.commands.options import BoardName, Own, Part, spread
from lifelong.commands.records import planned, say_damaged


@spread
def plan(board: BoardName, part: Part, own: Own) -> None:
    """Show which cells are done, missing or impossible."""
    from lifelong.reporting.text.overview import plan_report

    plan, store = planned(board, part.wishes, own.out)
    say_damaged(plan, store)
    answer(plan_report(plan))
