"""The command `lifelong merge`: records from several machines in one folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lifelong.commands.console import say_outcomes
from lifelong.commands.options import PLACE
from lifelong.errors import UsageError


def merge(
    places: Annotated[list[Path], typer.Argument(metavar="DIR...", help=PLACE)],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="The folder to put them into: --out of run.")],
) -> None:
    """Put records from several machines into one folder.

    Nothing is overwritten. Where two results of one run differ, both are kept, and you are told.
    """
    from lifelong.records.merge import merge as merged

    if not say_outcomes("records", merged(places, out.expanduser())):
        raise UsageError(f"no records in {', '.join(map(str, places))}")
