"""Options that several commands share. Light to import, as `lifelong.cli` is."""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lifelong.errors import UsageError

if TYPE_CHECKING:
    from lifelong.boards.plan import Wishes


class Form(StrEnum):
    table = "table"
    md = "md"
    csv = "csv"
    json = "json"
    jsonl = "jsonl"


BoardName = Annotated[str, typer.Argument(metavar="BOARD", help="A board's name, or a .toml file.")]
Strategies = Annotated[
    list[str] | None, typer.Option("--strategy", help="Only this strategy, or file.py:name. May be given again.")
]
Scenarios = Annotated[list[str] | None, typer.Option("--scenario", help="Only this scenario. May be given again.")]
Seeds = Annotated[str, typer.Option("--seeds", help="Instead of the board's: 0-4, or 0,2,5.")]
Sets = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        help="A parameter, as ewc.ewc_lambda=0.4, budget.epochs=2 or digits-task.ewc.ewc_lambda=1; or a .toml file.",
    ),
]
Out = Annotated[Path, typer.Option("--out", help="The folder of records.")]
Json = Annotated[bool, typer.Option("--json", help="For programs.")]
Metrics = Annotated[
    list[str] | None,
    typer.Option("--metric", help="Instead of the board's; the first two rank. May be given again."),
]
Published = Annotated[Path | None, typer.Option("--from", help="Published records, as jsonl, instead of the folder's.")]
Workers = Annotated[int | None, typer.Option("--workers", min=1, help="Runs at a time; one for each core by default.")]
Timeout = Annotated[str, typer.Option("--timeout", help="Kill a run after this long: 90s, 5m, 2h.")]
Data = Annotated[Path | None, typer.Option("--data", help="The folder of data sets; else LIFELONG_DATA.")]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, or cuda:0.")]
RESULTS = Path("results")


def duration(option: str, text: str) -> float:
    """`90`, `90s`, `5m`, `2h` or `1d` in seconds.

    Raises:
        UsageError: if it is none of these.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd]?)", text.strip())
    if match is None:
        raise UsageError(f"{option} {text!r}: write it as 90s, 5m or 2h")
    return float(match[1]) * {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}[match[2]]


def timeout_of(text: str) -> float | None:
    """`--timeout` in seconds; None where it is not given.

    Raises:
        UsageError: if it is no duration, or none at all.
    """
    seconds = duration("--timeout", text) if text else None
    if seconds == 0:
        raise UsageError(f"--timeout {text!r}: leaves no time to run; leave it out for no limit")
    return seconds


def wishes_of(strategy: list[str] | None, scenario: list[str] | None, seeds: str, settings: list[str] | None) -> Wishes:
    """What a command's options ask for beside the board."""
    from lifelong.boards.plan import Wishes

    return Wishes(tuple(scenario or ()), tuple(strategy or ()), seeds, tuple(settings or ()))
