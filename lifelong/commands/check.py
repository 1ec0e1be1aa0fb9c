"""The command `lifelong check`: a strategy, a scenario or a network tried out before it stands on a board."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from lifelong.commands.console import say, stderr, stdout
from lifelong.commands.options import Data, Json, Scenarios, Sets

if TYPE_CHECKING:
    from lifelong.checking.check import Tell


def check(
    names: Annotated[
        list[str],
        typer.Argument(metavar="NAME", help="A strategy, scenario or network: its name, or file.py:name."),
    ],
    settings: Sets = None,
    scenario: Scenarios = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Try out a strategy, a scenario or a network in seconds, before it stands on a board.

    Does it learn, repeat, resume, and see only what it may? Explains each failure.
    """
    with _progress() as tell:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="no QP solver found")  # said by an import of Avalanche
            from lifelong.checking import check as checking
            from lifelong.checking.report import as_json as to_json
            from lifelong.checking.report import print_report
        reports = []
        for report in checking.check(names, settings or (), scenario or (), tell, data):
            reports.append(report)
            if not as_json:
                print_report(stdout(), report)
    if as_json:
        sys.stdout.write(to_json(reports))
    for report in reports:
        failures = sum(result.answer.verdict == "failed" for result in report.results)
        if not report.built:
            say(f"{report.title}: refused on each of these scenarios")
        elif failures:
            say(f"{report.title}: {failures} {'check fails' if failures == 1 else 'checks fail'}")
    if not all(report.ok for report in reports):
        raise typer.Exit(1)
    say("nothing fails")


@contextmanager
def _progress() -> Iterator[Tell]:
    """Show what is being looked at: each check on a terminal, each scenario elsewhere."""
    console, said = stderr(), set[str]()
    with console.status("loading torch and Avalanche") as status:

        def tell(strategy: str, scenario: str, check: str) -> None:
            status.update(f"{strategy} on {scenario}: {check}")
            if not console.is_terminal and (line := f"{strategy} on {scenario}") not in said:
                said.add(line)
                say(line)

        yield tell
