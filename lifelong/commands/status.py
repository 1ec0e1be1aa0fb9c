"""The command `lifelong status`: how far a board has come, and what failed."""

from __future__ import annotations

from lifelong.commands.console import answer
from lifelong.commands.options import BoardName, Own, Part, spread
from lifelong.commands.records import planned, say_damaged


@spread
def status(board: BoardName, part: Part, own: Own) -> None:
    """Show how far a board has come, and why runs have failed."""
    from lifelong.reporting.text.overview import status_report

    plan, store = planned(board, part.wishes, own.out)
    say_damaged(plan, store)
    answer(status_report(plan, store))
