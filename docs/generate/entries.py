"""A page for each strategy and each scenario, an index of each by family, and a page of all networks."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from generate import standing
from generate.writing import fill
from lifelong.boards.board import Board, load_board
from lifelong.contracts import Entry
from lifelong.models import models
from lifelong.registry import boards, scenarios, strategies
from lifelong.reporting.text.details import SECTION, entry_as_data
from lifelong.reporting.text.words import grouped

ROOT = Path(__file__).parents[2]


def strategy_pages() -> Iterator[tuple[str, str]]:
    """Yield the place and the text of each strategy's page, and of their index."""
    known = strategies.all()
    for name, entry in known.items():
        yield (
            f"strategies/{name}.md",
            fill(
                "strategy.md",
                **_facts(entry),
                boards=[board.name for board in _boards() if name in board.strategies],
                rows=list(standing.rows_of(name)),
                claims=list(standing.claims_of(name)),
                targets=list(standing.targets_of(name)),
            ),
        )
    yield "strategies/index.md", _index("strategies", known)


def scenario_pages() -> Iterator[tuple[str, str]]:
    """Yield the place and the text of each scenario's page, and of their index."""
    known = scenarios.all()
    for name, entry in known.items():
        yield (
            f"scenarios/{name}.md",
            fill(
                "scenario.md",
                **_facts(entry),
                entry=entry,
                boards=[board.name for board in _boards() if name in board.scenarios],
                refusals={one.name: one.refusal(entry) for one in strategies.all().values()},
            ),
        )
    yield "scenarios/index.md", _index("scenarios", known)


def model_page() -> str:
    """Return the text of the page of all built-in networks."""
    return fill("models.md", models=[_facts(entry) for entry in models.all().values()])


def _index(kind: str, known: dict[str, Any]) -> str:
    families = grouped(sorted(known.values(), key=lambda one: (one.family, one.name)), lambda one: one.family)
    needs: dict[str, list[str]] = {}
    for name, entry in known.items():
        for need in sorted(getattr(entry, "needs", ())):
            needs.setdefault(need, []).append(name)
    return fill(f"{kind}.md", families=families, needs=dict(sorted(needs.items())))


def _facts(entry: Entry) -> dict[str, Any]:
    """What `lifelong show` tells, with the description apart from its summary and its parameters, and the code."""
    description = SECTION.sub("\n", entry.description).removeprefix(entry.summary).strip()
    file = inspect.getsourcefile(entry.function)
    return entry_as_data(entry) | {
        "family": entry.family,
        "description": re.sub(r"^(Raises|Returns):$", r"**\1**", description, flags=re.MULTILINE),
        "code": _code(entry.function),
        "source_file": Path(file).relative_to(ROOT).as_posix() if file else "",
    }


def _code(function: Callable[..., Any]) -> str:
    """A function's code without its docstring, which stands on the page already."""
    source = textwrap.dedent(inspect.getsource(function))
    lines = source.splitlines()
    definition = ast.parse(source).body[0]
    if isinstance(definition, ast.FunctionDef) and ast.get_docstring(definition) is not None:
        docstring = definition.body[0]
        del lines[docstring.lineno - 1 : docstring.end_lineno]
    return "\n".join(lines)


@cache
def _boards() -> list[Board]:
    return [load_board(name) for name in boards()]
