"""The command `lifelong show`: one of what there is, in full."""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import Annotated, Any

import typer

from lifelong.commands.console import stdout
from lifelong.commands.options import Json


class One(StrEnum):
    """What can be shown."""

    board = "board"
    model = "model"
    scenario = "scenario"
    strategy = "strategy"


def show(
    kind: Annotated[One, typer.Argument(metavar="KIND", help="board, model, scenario or strategy.")],
    name: Annotated[str, typer.Argument(metavar="NAME", help="Its name, or file.py:name.")],
    as_json: Json = False,
) -> None:
    """Show one board, model, scenario or strategy in full."""
    from lifelong.models import models
    from lifelong.registry import Registry, scenarios, strategies
    from lifelong.reporting.text import details
    from lifelong.reporting.text.render import as_json as written

    if kind is One.board:
        known = details.board_as_data(name)
    else:
        registries: dict[One, Registry[Any]] = {
            One.model: models,
            One.scenario: scenarios,
            One.strategy: strategies,
        }
        known = details.entry_as_data(registries[kind].get(name))
    if as_json:
        sys.stdout.write(written(known))
    else:
        details.show_details(stdout(), known)
