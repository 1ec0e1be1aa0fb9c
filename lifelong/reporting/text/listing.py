"""What there is: strategies, scenarios, models and boards, as names by family, or with a line for each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from fnmatch import fnmatch
from typing import Any

from lifelong.contracts import Entry, Scenario, Strategy
from lifelong.models import Model, models
from lifelong.registry import Registry, boards, scenarios, strategies
from lifelong.reporting.text.table import Cell, Column, Content, Report, Row, Table
from lifelong.reporting.text.words import grouped

CONTROL = "*"
"""What follows the names of controls, where there is no place for the word."""

FEW = 12
"""Entries whose summaries are shown in full; of more, each has one line."""


def rows(kind: str, pattern: str) -> list[dict[str, Any]]:
    """Return what `lifelong list --json` writes: a mapping for each entry whose name matches the pattern."""
    makers: Mapping[str, Callable[[], Iterable[dict[str, Any]]]] = {
        "strategies": lambda: map(_strategy, strategies.all().values()),
        "scenarios": lambda: map(_scenario, scenarios.all().values()),
        "models": lambda: map(_model, models.all().values()),
        "boards": lambda: map(_board, boards()),
    }
    return [row for row in makers[kind]() if fnmatch(row["name"], pattern)]


def _strategy(entry: Strategy) -> dict[str, Any]:
    return {"name": entry.name, "role": entry.role, "needs": sorted(entry.needs), "summary": entry.summary}


def _scenario(entry: Scenario) -> dict[str, Any]:
    return {
        "name": entry.name,
        "protocol": entry.protocol,
        "download_mb": entry.download_mb,
        "summary": entry.summary,
    }


def _model(entry: Model) -> dict[str, Any]:
    return {"name": entry.name, "parameters": list(entry.parameters), "summary": entry.summary}


def _board(name: str) -> dict[str, Any]:
    from lifelong.boards.board import load_board

    board = load_board(name)
    return {"name": name, "cells": board.cells, "summary": board.title}


def list_report(kind: str, pattern: str, long: bool) -> Report:
    """List what matches a pattern.

    Args:
        kind: `strategies`, `scenarios`, `models` or `boards`.
        pattern: of names, for example `mnist-*`.
        long: whether each has a line that says what it is; else all but boards are names, by family.
    """
    if kind == "boards":
        return Report([_boards(rows(kind, pattern))], notes=_hints(kind, long=True))
    registries: Mapping[str, Registry[Any]] = {"strategies": strategies, "scenarios": scenarios, "models": models}
    known: Mapping[str, Entry] = registries[kind].all()
    chosen = [entry for entry in known.values() if fnmatch(entry.name, pattern)]
    families = grouped(sorted(chosen, key=lambda entry: (entry.family, entry.name)), lambda entry: entry.family)
    table = (_lines if long else _names)(kind, families)
    controls = not long and any(_role(entry) == "control" for entry in chosen)
    marks = [f"{CONTROL} a control: others have to beat it before their own idea can be said to help"]
    return Report([table], notes=[*(marks if controls else []), *_hints(kind, long)])


def _hints(kind: str, long: bool) -> list[Content]:
    """What to type next."""
    one, pattern = {
        "strategies": ("strategy", "'drop*'"),
        "scenarios": ("scenario", "'mnist-*'"),
        "models": ("model", "'cnn*'"),
        "boards": ("board", ""),
    }[kind]
    more = [] if long else [f"What each is: lifelong list {kind} {pattern}, or --long for all"]
    others = ["Also: torchvision:NAME, timm:NAME, FILE.py:NAME"] if kind == "models" else []
    return [*others, *more, f"All of one: lifelong show {one} NAME"]


def _names(kind: str, families: Mapping[str, Sequence[Entry]]) -> Table:
    """A row for each family, with the names of its members."""
    sizes = kind == "scenarios"
    columns = [Column("family", "name"), Column("to download", right=True), Column(kind, "text")]
    table = Table(
        columns,
        [
            Row([Cell(family, "bold"), _downloads(members), ", ".join(map(_marked, members))])
            for family, members in families.items()
        ],
    )
    return table if sizes else table.choose(lambda column: column.heading != "to download")


def _marked(entry: Entry) -> str:
    role = _role(entry)
    if role == "control":
        return entry.name + CONTROL
    return entry.name if role in ("", "contestant") else f"{entry.name} ({role})"


def _role(entry: Entry) -> str:
    return entry.role if isinstance(entry, Strategy) else ""


def _downloads(members: Sequence[Entry]) -> str:
    """Write `12 to 31 MB`: the least and the most that a family's scenarios download; empty for nothing."""
    sizes = [round(entry.download_mb) for entry in members if isinstance(entry, Scenario)]
    least, most = min(sizes, default=0), max(sizes, default=0)
    return f"{least} to {most} MB" if least < most else f"{most} MB" if most else ""


def _lines(kind: str, families: Mapping[str, Sequence[Entry]]) -> Table:
    """A row for each entry, below one for its family."""
    few = sum(map(len, families.values())) <= FEW
    columns = [Column(kind, "name"), *FACTS[kind], Column("what it is", "text" if few else "summary")]
    rows = []
    for family, members in families.items():
        rows.append(Row([Cell(family, "bold"), *[""] * (len(columns) - 1)]))
        rows += [Row([f"  {entry.name}", *_facts(entry), entry.summary]) for entry in members]
    return Table(columns, rows)


FACTS = {
    "strategies": (Column("role", optional=True), Column("needs", optional=True)),
    "scenarios": (Column("protocol", optional=True), Column("to download", right=True, optional=True)),
    "models": (Column("parameters", optional=True),),
}


def _facts(entry: Entry) -> list[str]:
    """What stands under `FACTS`."""
    if isinstance(entry, Strategy):
        return [_role(entry).replace("contestant", ""), ", ".join(sorted(entry.needs))]
    if isinstance(entry, Model):
        return [", ".join(entry.parameters)]
    return [entry.protocol if isinstance(entry, Scenario) else "", _downloads([entry])]


def _boards(known: Sequence[Mapping[str, Any]]) -> Table:
    columns = [Column("board", "name"), Column("cells", right=True), Column("what it asks", "summary")]
    return Table(columns, [Row([row["name"], f"{row['cells']:,}", row["summary"]]) for row in known])
