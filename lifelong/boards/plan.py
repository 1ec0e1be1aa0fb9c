"""Turns a board and the user's wishes into cells, before anything runs: done, failed, missing or impossible."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from lifelong.boards.board import MAX_SEED, MAX_SEEDS, Board
from lifelong.boards.settings import Settings, reference_of
from lifelong.contracts import Entry, Scenario, Strategy
from lifelong.errors import UsageError
from lifelong.records.entries import Tuned
from lifelong.records.record import Record
from lifelong.records.spec import Spec
from lifelong.registry import E, scenarios, strategies

State = Literal["done", "failed", "missing", "impossible"]


@dataclass(frozen=True)
class Wishes:
    """What the user asked for on the command line; empty where the board decides."""

    scenarios: Sequence[str] = ()
    strategies: Sequence[str] = ()
    seeds: str = ""
    set: Sequence[str] = ()
    beside: Sequence[str] = ()
    """Strategies that are planned beside the board's, for example because parameters of them are set."""


@dataclass(frozen=True)
class Cell:
    """One scenario, one strategy, one seed."""

    scenario: Scenario
    strategy: Strategy
    seed: int
    state: State
    spec: Spec | None = None
    """None where the cell is impossible."""
    reason: str = ""
    """Why the cell is impossible or has failed."""
    references: tuple[str, str, str] = ("", "", "")
    """The names, or `file.py:name`, by which a worker finds scenario, strategy and model."""
    record: Record | None = None
    """None where there is no record."""
    tuned: Tuned | None = None
    """The study that chose the strategy's parameters, if there is one."""


@dataclass(frozen=True)
class Plan:
    """All cells of a board, and the records in its folder."""

    board: Board
    cells: list[Cell]
    records: dict[str, Record] = field(default_factory=dict)
    """Every readable record of the board's folder by key, planned or not."""
    damaged: dict[Path, str] = field(default_factory=dict)
    """The files that should be records and are not, each with the reason."""

    def to_run(self, retry_failed: bool) -> list[Cell]:
        """Return the cells that have no record; with `retry_failed` also those whose record is a failure."""
        wanted = {"missing", "failed"} if retry_failed else {"missing"}
        return [cell for cell in self.cells if cell.state in wanted]

    def ranked(self, everyone: bool) -> list[Record]:
        """Return the records that the board's tables show: of its scenarios, under its model and budget, of its seeds.

        Args:
            everyone: whether to include strategies that the plan does not name, for example a user's own strategy that
                was run before.
        """
        planned = {cell.record.key: cell.record for cell in self.cells if cell.record is not None}
        if not everyone:
            return list(planned.values())
        specs = {cell.scenario.name: cell.spec for cell in self.cells if cell.spec is not None}
        settings = {spec.setting for spec in specs.values()}
        seeds = {cell.seed for cell in self.cells}
        others = (record for record in self.records.values() if record.key not in planned and record.spec.seed in seeds)
        return [*planned.values(), *(record for record in others if record.spec.setting in settings)]


class Records(Protocol):
    """A place that records are loaded from: a board's folder (`Store`), or a published file (`Published`)."""

    def load(self) -> tuple[dict[str, Record], dict[Path, str]]:
        """Return the records by key, and the damaged files with the reasons."""


@dataclass(frozen=True)
class AtHand:
    """Records that have been read already; none where only the cells of a plan are wanted."""

    records: Sequence[Record] = ()

    def load(self) -> tuple[dict[str, Record], dict[Path, str]]:
        return {record.key: record for record in self.records}, {}


def make_plan(board: Board, wishes: Wishes, store: Records) -> Plan:
    """Resolve every name and parameter, and compare the cells with the records that exist.

    Floor and ceiling are always planned, because a table without them says little.

    Args:
        board: the board.
        wishes: what the user asked for.
        store: the place of the records.

    Raises:
        UsageError: if a name, a parameter or a seed is wrong, or if nothing that was asked for is possible.
    """
    chosen_scenarios = _chosen(scenarios.get, wishes.scenarios, board.scenarios, board)
    asked = _chosen(strategies.get, wishes.strategies, board.strategies, board)
    beside = {reference: strategies.get(reference) for reference in wishes.beside}
    asked |= {reference: entry for reference, entry in beside.items() if entry not in asked.values()}
    fixed = {name: entry for name, entry in strategies.all().items() if entry.role in ("floor", "ceiling")}
    chosen = {**{name: entry for name, entry in fixed.items() if entry not in asked.values()}, **asked}
    _distinct([*chosen_scenarios.items(), *chosen.items()])
    with _said_by(board):
        settings = Settings(board, (), chosen_scenarios.values(), chosen.values())
    if wishes.set:
        settings = Settings(board, wishes.set, chosen_scenarios.values(), chosen.values())
    seeds = parse_seeds(wishes.seeds) if wishes.seeds else board.seeds
    records, damaged = store.load()
    cells = [
        _cell(settings, records, (scenario_name, scenario), (strategy_name, strategy), seed)
        for scenario_name, scenario in chosen_scenarios.items()
        for strategy_name, strategy in chosen.items()
        if strategy.name in fixed or board.has(scenario_name, strategy_name)
        for seed in seeds
    ]
    names = {entry.name for entry in asked.values()}
    wanted = [cell for cell in cells if cell.strategy.name in names]
    if not wanted:
        where = sorted({scenario for name in asked for scenario in board.on.get(name, ())})
        raise UsageError(f"board {board.name} runs {' and '.join(sorted(names))} only on {' and '.join(where)}")
    if all(cell.state == "impossible" for cell in wanted):
        raise UsageError("; ".join(dict.fromkeys(cell.reason for cell in wanted)))
    return Plan(board, cells, records, damaged)


@contextmanager
def _said_by(board: Board) -> Iterator[None]:
    """Put the board's name before the message of a mistake inside, because it is the board's."""
    try:
        yield
    except UsageError as error:
        raise UsageError(f"board {board.name}: {error}") from None


def _chosen(get: Callable[[str], E], wished: Sequence[str], named: Sequence[str], board: Board) -> dict[str, E]:
    if wished:
        return {reference: get(reference) for reference in wished}
    with _said_by(board):
        return {reference: get(reference) for reference in named}


def _distinct(entries: Iterable[tuple[str, Entry]]) -> None:
    """Check that the owner of a parameter can be told from its name."""
    names = {"budget": "[budget]", "model": "[model]", "tuning": "[tuning]"}
    for reference, entry in entries:
        if entry.name in names:
            raise UsageError(f"{names[entry.name]!r} and {reference!r} are both called {entry.name!r}; rename one")
        names[entry.name] = reference


def _cell(
    settings: Settings,
    records: Mapping[str, Record],
    scenario: tuple[str, Scenario],
    strategy: tuple[str, Strategy],
    seed: int,
) -> Cell:
    references = (reference_of(*scenario), reference_of(*strategy), settings.model(scenario[1]))
    if reason := strategy[1].refusal(scenario[1]):
        names = (scenario[0], strategy[0], "")
        return Cell(scenario[1], strategy[1], seed, "impossible", reason=reason, references=names)
    spec = settings.spec(scenario[1], strategy[1], seed)
    record = records.get(spec.key)
    state: State = "missing" if record is None else "done" if record.ok else "failed"
    return Cell(
        scenario[1],
        strategy[1],
        seed,
        state,
        spec,
        reason=record.status if record is not None and not record.ok else "",
        references=references,
        record=record,
        tuned=settings.tuned(spec),
    )


def parse_seeds(text: str) -> list[int]:
    """Parse seeds: numbers and ranges, separated by commas.

    Raises:
        UsageError: if the text is anything else, a range is empty, or a seed is out of range.

    >>> parse_seeds("0-2,7")
    [0, 1, 2, 7]
    """
    seeds: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise UsageError(f"--seeds {text!r}: write a range as 0-4, a list as 0,2,5")
        low, high = int(first), int(last) if dash else int(first)
        if high < low:
            raise UsageError(f"--seeds {text!r}: {part.strip()} is empty; did you mean {high}-{low}?")
        if high > MAX_SEED or high - low >= MAX_SEEDS:
            raise UsageError(f"--seeds {text!r}: seeds go from 0 to {MAX_SEED}, at most {MAX_SEEDS} at once")
        seeds += range(low, high + 1)
    return list(dict.fromkeys(seeds))
