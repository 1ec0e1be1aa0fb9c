"""The command `lifelong list`: what there is."""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import Annotated

import typer

from lifelong.commands.console import answer, say
from lifelong.commands.options import Json

ALL = "*"


class Kind(StrEnum):
    """What can be listed."""

    boards = "boards"
    models = "models"
    scenarios = "scenarios"
    strategies = "strategies"


def list_(
    kind: Annotated[Kind, typer.Argument(metavar="KIND", help="boards, models, scenarios or strategies.")],
    pattern: Annotated[str, typer.Argument(metavar="[GLOB]", help="Only names that match: 'mnist-*'.")] = ALL,
    long: Annotated[bool, typer.Option("--long", help="Say of each what it is.")] = False,
    as_json: Json = False,
) -> None:
    """List boards, models, scenarios or strategies.

    With a GLOB, or --long, each has a line that says what it is.
    """
    from lifelong.reporting.text import listing
    from lifelong.reporting.text.render import as_json as written

    rows = listing.rows(kind.value, pattern)
    if not rows:
        say(f"no {kind.value} match {pattern!r}")
    if as_json:
        sys.stdout.write(written(rows))
    elif rows:
        answer(listing.list_report(kind.value, pattern, long or pattern != ALL))
