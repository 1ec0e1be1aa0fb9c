"""One strategy, scenario, model or board in full."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table as Drawing
from rich.text import Text

from lifelong.contracts import Entry, Scenario, Strategy
from lifelong.registry import scenarios
from lifelong.reporting.text.render import show
from lifelong.reporting.text.table import Column, Report, Row, Table

APART = ("parameters", "claims", "targets", "description", "summary", "title")
"""What has a place of its own, above or below the facts."""

SECTION = re.compile(r"\n*^Args:\n((?:[ \t]+.*\n?|\n)*)", re.MULTILINE)
"""The section of a docstring that explains parameters."""

EXPLAINED = re.compile(r"((?:\w+, )*\w+): (.*)", re.DOTALL)
"""`share: what it is`, or `low, high: what they are`."""


def board_as_data(name: str) -> dict[str, Any]:
    """Return what a board file says, and what its scenarios need."""
    from lifelong.boards.board import load_board

    board = load_board(name)
    used = [scenarios.get(scenario) for scenario in board.scenarios]
    # the source of a scenario ends with its data set, so that what several share is counted once
    downloads = {scenario.source.rpartition("; data: ")[2]: scenario.download_mb for scenario in used}
    return board.model_dump(mode="json") | {
        "cells": board.cells,
        "licences": list(dict.fromkeys(scenario.licence for scenario in used if scenario.licence)),
        "download_mb": sum(downloads.values()),
    }


def entry_as_data(entry: Entry) -> dict[str, Any]:
    """Return everything that is known of a strategy, a scenario or a model."""
    known: dict[str, Any] = {"name": entry.name, "summary": entry.summary, "source": entry.source}
    if isinstance(entry, Strategy):
        known |= {
            "role": entry.role,
            "avalanche": entry.avalanche,
            "needs": sorted(entry.needs),
            "trains": "once" if entry.offline else "in stream",
        }
    if isinstance(entry, Scenario):
        known |= {
            "protocol": entry.protocol,
            "licence": entry.licence,
            "download_mb": entry.download_mb,
            "input_shape": list(entry.input_shape),
            "model": dict(entry.model),
            "budget": dict(entry.budget),
        }
    explained = explanations(entry.description)
    return known | {
        "version": entry.version,
        "file": str(entry.file) if entry.file else None,
        "parameters": [
            {"name": one.name, "type": one.type_name, "default": one.default}
            | ({"explanation": told} if (told := explained.get(one.name, one.explanation)) else {})
            for one in entry.parameters.values()
        ],
        "description": entry.description,
    }


def explanations(description: str) -> dict[str, str]:
    r"""Read what a description says of each parameter in its section `Args:`.

    >>> explanations("Do it.\n\nArgs:\n    share: how much,\n        in [0, 1].\n    low, high: the ends.")
    {'share': 'how much, in [0, 1].', 'low': 'the ends.', 'high': 'the ends.'}
    """
    section = SECTION.search(description)
    told: dict[str, str] = {}
    for item in re.split(r"\n    (?=\S)", "\n" + section[1].rstrip() if section else ""):
        if explained := EXPLAINED.fullmatch(item):
            told.update(dict.fromkeys(explained[1].split(", "), " ".join(explained[2].split())))
    return told


def show_details(console: Console, known: Mapping[str, Any]) -> None:
    """Print what is known of one entry: what it is, its parameters and its facts."""
    told = [Text(known.get("summary") or known.get("title") or "", style="bold"), Text(_told(known))]
    for text in filter(None, told):
        console.print(text, end="\n\n")
    if parameters := known.get("parameters"):
        show(console, Report([_parameters(parameters)]))
    console.print(_facts(known))
    if claims := known.get("claims"):
        console.print(Text(f"{len(claims)} claims: lifelong compare --claims --board {known['name']}"))
    for target in known.get("targets", ()):
        line = "target: {strategy} on {scenario}, {metric} {value} ± {tolerance} ({source})"
        console.print(Text(line.format(**target)))


def _told(known: Mapping[str, Any]) -> str:
    """The description without its summary and its parameters, each paragraph on one line, which the console breaks."""
    description = SECTION.sub("\n", known.get("description") or "")
    flowing = re.sub(r"(?<=\S)\n(?=\S)", " ", description)
    return flowing.removeprefix(known.get("summary", "")).strip()


def _parameters(parameters: Sequence[Mapping[str, Any]]) -> Table:
    columns = [Column("parameter", "name"), Column("type"), Column("default"), Column("what it is", "text")]
    table = Table(columns, list(map(_parameter, parameters)))
    explained = any("explanation" in one for one in parameters)
    return table if explained else table.choose(lambda column: column.kind != "text")


def _parameter(known: Mapping[str, Any]) -> Row:
    kind = known["type"].replace(", ", ",\n")
    return Row([known["name"], kind, repr(known["default"]), known.get("explanation", "")])


def _facts(known: Mapping[str, Any]) -> Drawing:
    drawing = Drawing.grid(padding=(0, 2, 0, 0))
    drawing.add_column(style="bold", no_wrap=True)
    drawing.add_column(overflow="fold")
    for key, value in known.items():
        empty: tuple[Any, ...] = (None, "", []) if key in ("budget", "model") else (None, "", [], {})
        if key not in APART and value not in empty:
            drawing.add_row(key.replace("_", " "), Text(_fact(value)))
    return drawing


def _fact(value: Any) -> str:
    return "\n".join(_tables(value)) or "the defaults" if isinstance(value, Mapping) else _written(value)


def _written(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def _tables(values: Mapping[str, Any], owner: str = "") -> Iterator[str]:
    """A line for each table of tables: `digits-task.ewc: ewc_lambda = 1`."""
    if own := [f"{key} = {_written(item)}" for key, item in values.items() if not isinstance(item, Mapping)]:
        yield f"{owner}: {', '.join(own)}".removeprefix(": ")
    for key, item in values.items():
        if isinstance(item, Mapping):
            yield from _tables(item, f"{owner}.{key}".removeprefix("."))
