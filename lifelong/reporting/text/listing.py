"""What there is: strategies, scenarios and boards, in a list or one in full."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatch
from typing import Any

from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from lifelong.contracts import Entry, Scenario, Strategy
from lifelong.parameters import Parameter
from lifelong.registry import boards, scenarios, strategies


def rows(kind: str, pattern: str) -> list[dict[str, Any]]:
    """What `lifelong list` shows: one mapping for each entry whose name matches the pattern."""
    makers: Mapping[str, Any] = {"strategies": _strategies, "scenarios": _scenarios, "boards": _boards}
    return [row for row in makers[kind]() if fnmatch(row["name"], pattern)]


def _strategies() -> Iterable[dict[str, Any]]:
    for entry in strategies.all().values():
        yield {"name": entry.name, "role": entry.role, "needs": sorted(entry.needs), "summary": entry.summary}


def _scenarios() -> Iterable[dict[str, Any]]:
    for entry in scenarios.all().values():
        yield {
            "name": entry.name,
            "protocol": entry.protocol,
            "download_mb": entry.download_mb,
            "summary": entry.summary,
        }


def _boards() -> Iterable[dict[str, Any]]:
    from lifelong.boards.board import load_board

    for name in boards():
        board = load_board(name)
        cells = board.cells
        yield {"name": name, "cells": cells, "summary": board.title}


NARROW = 110
"""Columns of a console below which a summary stands under its name."""


def print_rows(console: Console, found: list[dict[str, Any]]) -> None:
    """A table of such rows; on a narrow console a paragraph for each."""
    if not found:
        return
    if console.width < NARROW:
        for row in found:
            _print_paragraph(console, **row)
        return
    drawing = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in found[0]:
        drawing.add_column(column.replace("_", " "), overflow="fold", no_wrap=column == "name")
    for row in found:
        drawing.add_row(*(Text(_cell(value)) for value in row.values()))
    console.print(drawing)


def _print_paragraph(console: Console, name: str, summary: str, **facts: Any) -> None:
    told = [_told(key, value) for key, value in facts.items() if value]
    console.print(Text.assemble((name, "bold"), "  ", (" · ".join(told), "dim")))
    console.print(Padding(Text(summary), (0, 0, 0, 4)))


def _told(key: str, value: Any) -> str:
    """A fact without a column's head: `control`, `needs task boundaries`, `11.6 MB to download`, `690 cells`."""
    forms = {"role": "{}", "protocol": "{}", "needs": "needs {}", "download_mb": "{} MB to download", "published": "{}"}
    return forms.get(key, "{} " + key).format(_cell(value))


def _cell(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(str(item) for item in value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def board_as_data(name: str) -> dict[str, Any]:
    """What a board file says, and what its scenarios need."""
    from lifelong.boards.board import load_board

    board = load_board(name)
    used = [scenarios.get(scenario) for scenario in board.scenarios]
    # scenarios over one data set name it alike, behind the paper that the stream is from
    downloads = {scenario.source.rpartition("; data: ")[2]: scenario.download_mb for scenario in used}
    return board.model_dump(mode="json") | {
        "cells": board.cells,
        "licences": list(dict.fromkeys(scenario.licence for scenario in used if scenario.licence)),
        "download_mb": sum(downloads.values()),
    }


def entry_as_data(entry: Entry) -> dict[str, Any]:
    """Everything that is known of a strategy or a scenario."""
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
    known |= {
        "version": entry.version,
        "file": str(entry.file) if entry.file else None,
        "parameters": [_parameter(parameter) for parameter in entry.parameters.values()],
        "description": entry.description,
    }
    return known


def _parameter(parameter: Parameter) -> dict[str, Any]:
    return {"name": parameter.name, "type": parameter.type_name, "default": parameter.default}


def print_details(console: Console, known: Mapping[str, Any]) -> None:
    """One entry in full: its facts, its parameters and its description."""
    drawing = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    drawing.add_column(style="bold", no_wrap=True)
    drawing.add_column(overflow="fold")
    for key, value in known.items():
        empty: tuple[Any, ...] = (None, "", []) if key in ("budget", "model") else (None, "", [], {})
        if key not in ("parameters", "targets", "description", "summary") and value not in empty:
            drawing.add_row(key.replace("_", " "), Text(_fact(value)))
    console.print(drawing)
    if parameters := known.get("parameters"):
        rows = [[one["name"], one["type"], repr(one["default"])] for one in parameters]
        _print_table(console, ("parameter", "type", "default"), rows)
    for target in known.get("targets", ()):
        console.print(
            Text("target: {strategy} on {scenario}, {metric} {value} ± {tolerance} ({source})".format(**target))
        )
    if description := known.get("description"):
        console.print()
        console.print(Text(_flowing(description)))


def _print_table(console: Console, columns: Sequence[str], found: Iterable[Sequence[str]]) -> None:
    console.print()
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in found:
        table.add_row(*map(Text, row))
    console.print(table)


def _flowing(text: str) -> str:
    """Its paragraphs each on one line, for the console to break; lists and code stay as they are."""
    return re.sub(r"(?<=\S)\n(?=\S)", " ", text)


def _fact(value: Any) -> str:
    return "\n".join(_tables(value)) or "the defaults" if isinstance(value, Mapping) else _cell(value)


def _tables(values: Mapping[str, Any], owner: str = "") -> Iterator[str]:
    """A line for each table of tables, as `digits-task.ewc: ewc_lambda = 1`."""
    if own := [f"{key} = {_cell(item)}" for key, item in values.items() if not isinstance(item, Mapping)]:
        yield f"{owner}: {', '.join(own)}".removeprefix(": ")
    for key, item in values.items():
        if isinstance(item, Mapping):
            yield from _tables(item, f"{owner}.{key}".removeprefix("."))


def as_json(value: Any) -> str:
    """For programs."""
    return json.dumps(value, indent=1, default=str) + "\n"
