"""The options of the commands, each written once. Light to import, as `lifelong.cli` is."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields, is_dataclass
from enum import StrEnum
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from lifelong.errors import UsageError

if TYPE_CHECKING:
    from lifelong.boards.plan import Wishes


class Form(StrEnum):
    """How results are written."""

    table = "table"
    md = "md"
    csv = "csv"
    json = "json"
    jsonl = "jsonl"


RESULTS = Path("results")

PLACE = "A folder of records, a tree of them, or a published file: .jsonl or .jsonl.gz."

BoardName = Annotated[str, typer.Argument(metavar="BOARD", help="The board's name, or a .toml file.")]
Strategies = Annotated[
    list[str] | None,
    typer.Option("--strategy", metavar="NAME", help="Only this strategy, or file.py:name. Repeatable."),
]
Scenarios = Annotated[
    list[str] | None,
    typer.Option("--scenario", metavar="NAME", help="Only this scenario, or file.py:name. Repeatable."),
]
Seeds = Annotated[str, typer.Option("--seeds", metavar="SEEDS", help="Seeds, if not the board's: 0-4, or 0,2,5.")]
Sets = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="NAME=VALUE", help="A parameter: ewc.ewc_lambda=0.4, or budget.epochs=2. Repeatable."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Write JSON, for programs.")]
Metrics = Annotated[
    list[str] | None,
    typer.Option("--metric", metavar="NAME", help="A metric, if not the board's. Repeatable; the first two rank."),
]
Forms = Annotated[Form, typer.Option("--format", metavar="FORM", help="The form: table, md, csv or json.")]
Output = Annotated[Path | None, typer.Option("--output", metavar="FILE", help="The file to write; .gz compresses it.")]
Workers = Annotated[
    int | None, typer.Option("--workers", min=1, metavar="N", help="Runs at a time; one for each core by default.")
]
Data = Annotated[Path | None, typer.Option("--data", metavar="DIR", help="The data sets; LIFELONG_DATA by default.")]


@dataclass(frozen=True)
class Part:
    """What part of a board, under what settings."""

    strategy: Strategies = None
    scenario: Scenarios = None
    seeds: Seeds = ""
    settings: Sets = None

    @property
    def wishes(self) -> Wishes:
        """What these options ask for beside the board."""
        return _wishes(self, self.strategy or ())


@dataclass(frozen=True)
class Streams:
    """The same for commands that choose strategies in another way."""

    scenario: Scenarios = None
    seeds: Seeds = ""
    settings: Sets = None

    @property
    def wishes(self) -> Wishes:
        """What these options ask for beside the board."""
        return _wishes(self, ())


def _wishes(options: Part | Streams, strategies: Iterable[str]) -> Wishes:
    from lifelong.boards.plan import Wishes

    return Wishes(tuple(options.scenario or ()), tuple(strategies), options.seeds, tuple(options.settings or ()))


@dataclass(frozen=True)
class Own:
    """Where one's own records are."""

    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="The folder of records.")] = RESULTS


@dataclass(frozen=True)
class Source:
    """Which records to show. Published ones stand in where there are no own ones, unless a place is named."""

    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="Your records; by default results, or the published."),
    ] = None
    published: Annotated[Path | None, typer.Option("--from", metavar="FILE", help="A file of published records.")] = (
        None
    )


@dataclass(frozen=True)
class Machine:
    """How to run, as far as that changes no result."""

    workers: Workers = None
    timeout: Annotated[
        str, typer.Option("--timeout", metavar="TIME", help="Kill a run after this long: 90s, 5m, 2h.")
    ] = ""
    data: Data = None
    device: Annotated[str, typer.Option("--device", metavar="NAME", help="The device: auto, cpu, or cuda:0.")] = "auto"

    @property
    def timeout_s(self) -> float | None:
        """`--timeout` in seconds; None where it is not given.

        Raises:
            UsageError: if it is no duration, or zero.
        """
        seconds = duration("--timeout", self.timeout) if self.timeout else None
        if seconds == 0:
            raise UsageError(f"--timeout {self.timeout!r}: leaves no time to run; leave it out for no limit")
        return seconds


def spread(command: Callable[..., None]) -> Callable[..., None]:
    """Let a command take options in dataclasses, of which typer knows nothing: each field becomes an option.

    >>> @spread
    ... def count(board: str, machine: Machine) -> None: ...
    >>> list(inspect.signature(count).parameters)
    ['board', 'workers', 'timeout', 'data', 'device']
    """
    bundles: dict[str, type[Any]] = {}
    options: list[inspect.Parameter] = []
    for option in inspect.signature(command, eval_str=True).parameters.values():
        if is_dataclass(bundle := option.annotation) and isinstance(bundle, type):
            bundles[option.name] = bundle
            hints = get_type_hints(bundle, include_extras=True)
            options += [
                inspect.Parameter(
                    field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=hints[field.name]
                )
                for field in fields(bundle)
            ]
        else:
            options.append(option.replace(kind=inspect.Parameter.KEYWORD_ONLY))

    @wraps(command)
    def called(**given: Any) -> None:
        for name, bundle in bundles.items():
            given[name] = bundle(**{field.name: given.pop(field.name) for field in fields(bundle)})
        command(**given)

    called.__signature__ = inspect.Signature(options)  # type: ignore[attr-defined] # what typer reads
    called.__annotations__ = {option.name: option.annotation for option in options}
    return called


def duration(option: str, text: str) -> float:
    """Return `90`, `90s`, `5m`, `2h` or `1d` in seconds.

    >>> duration("--timeout", "5m")
    300.0

    Raises:
        UsageError: if it is none of these.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd]?)", text.strip())
    if match is None:
        raise UsageError(f"{option} {text!r}: write it as 90s, 5m or 2h")
    return float(match[1]) * {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}[match[2]]
