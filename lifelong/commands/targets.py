"""The command `lifelong targets`: does a board reach the numbers that others have published?"""

from __future__ import annotations

from lifelong.commands.console import answer, check_form
from lifelong.commands.options import BoardName, Form, Forms, Output, Source, Strategies, Streams, spread
from lifelong.commands.records import results_of
from lifelong.errors import UsageError


@spread
def targets(
    board: BoardName,
    streams: Streams,
    source: Source,
    strategy: Strategies = None,
    form: Forms = Form.table,
    output: Output = None,
) -> None:
    """Compare a board's runs with published numbers.

    Says which numbers are reproduced, and in files also how to run each again.
    """
    check_form(form, output)
    from lifelong.registry import strategies
    from lifelong.reporting.page.reproduce import command_for
    from lifelong.reporting.statistics.reproduction import outcomes
    from lifelong.reporting.text.reproduction import target_report

    wanted = {strategies.get(name).name for name in strategy or ()}
    results = results_of(board, streams.wishes, source)
    if not results.board.targets:
        raise UsageError(
            f"board {results.board.name} has no targets; a board states them as [[targets]], each with scenario, "
            "strategy, value, tolerance and source"
        )
    cells = [cell for cell in results.plan.cells if not wanted or cell.strategy.name in wanted]
    told = outcomes(results.board.targets, cells, results.contests())
    if not told:
        raise UsageError(f"board {results.board.name} has no targets for these strategies on these scenarios")
    commands: list[str | None] = [None] * len(told)  # a terminal has no place for them
    if form is not Form.table:
        command = command_for(board, results.plan, [one.spec for one in told if one.spec], streams.seeds)
        commands = [command(one.spec) if one.spec else None for one in told]
    answer(target_report(told, commands), form, output)
