"""Where each strategy stands: its rows in the rankings, claims and targets of the boards with published records."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from generate.asking import ask_data
from lifelong.boards.board import load_board
from lifelong.commands.records import published_with
from lifelong.registry import boards
from lifelong.reporting.statistics.comparison import ALL

Data = Mapping[str, Any]


@cache
def published_boards() -> tuple[str, ...]:
    """Return the names of the installed boards that carry published records."""
    return tuple(name for name in boards() if published_with(name))


@cache
def rankings(board: str) -> Data:
    """Return a board's published ranking, as `lifelong board --format json` tells it."""
    data: Data = ask_data("board", board, "--from", str(published_with(board)))
    return data


@cache
def claims(board: str) -> list[Data]:
    """Return what became of a board's claims, each with what the board says that helps."""
    told = {tuple(pair): what for *pair, what in load_board(board).claims}
    if not told:
        return []
    comparisons = ask_data("compare", "--claims", "--board", board, "--from", str(published_with(board)))["comparisons"]
    return [one | {"claim": told.get((one["first"], one["second"]), "")} for one in comparisons]


@cache
def targets(board: str) -> list[Data]:
    """Return what became of a board's targets."""
    if not load_board(board).targets:
        return []
    told: list[Data] = ask_data("targets", board, "--from", str(published_with(board)))["targets"]
    return told


def rows_of(strategy: str) -> Iterator[Data]:
    """Yield a strategy's rows in the published rankings, by board and scenario, under each of its parameters."""
    for board in published_boards():
        for table in rankings(board)["tables"]:
            for row in table["rows"]:
                if _name(row["strategy"]) == strategy and row["n"]:
                    first, *others = rankings(board)["metrics"].items()
                    yield {
                        "board": board,
                        "scenario": table["scenario"],
                        "label": row["strategy"],
                        "rank": row["rank"],
                        "of": sum(other["rank"] is not None for other in table["rows"]),
                        "n": row["n"],
                        "planned": row["planned"],
                        "metrics": [_metric(row, name, told) for name, told in (first, *others[:1])],
                    }


def claims_of(strategy: str) -> Iterator[Data]:
    """Yield what became, on all scenarios together, of the claims that a strategy makes or is the control of."""
    for board in published_boards():
        for one in claims(board):
            if one["scenario"] == ALL and strategy in (_name(one["first"]), _name(one["second"])):
                yield one | {"board": board}


def targets_of(strategy: str) -> Iterator[Data]:
    """Yield what became of the published numbers that a strategy has to reach."""
    for board in published_boards():
        for one in targets(board):
            if _name(one["strategy"]) == strategy:
                yield one | {"board": board}


def _metric(row: Data, name: str, told: Data) -> Data:
    return {"title": told["title"], **row["metrics"][name]}


def _name(label: str) -> str:
    """The strategy's name, without the parameters that an entrant's label may have."""
    return label.partition(" (")[0]
