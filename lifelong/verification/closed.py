"""Tells closed runs from open ones. A closed run chose only what its board allows, so it compares with all others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from lifelong.boards.board import Board, is_range
from lifelong.boards.plan import Cell
from lifelong.contracts import Strategy
from lifelong.errors import UsageError, unknown
from lifelong.records.spec import Choice, Spec, Strict
from lifelong.registry import strategies


@dataclass(frozen=True)
class Division:
    """Tells which runs of a board are closed.

    A run is closed if all of this holds:

    - its scenario, its model and its budget are the board's;
    - its strategy is installed, or the board names it;
    - each of its parameters has the board's value (or the strategy's default, where the board has none), or lies in the
      board's closed range of that parameter.

    All other runs are open. A strategy of a user's own file that the board does not name is open too, because nobody
    else has it.

    Args:
        board: the board, with its `closed` ranges.
        cells: the cells of its plan.

    Raises:
        UsageError: if the board's ranges name a strategy or a parameter that does not exist.
    """

    board: Board
    cells: tuple[Cell, ...]

    def __post_init__(self) -> None:
        for name, ranges in self.board.closed.items():
            if name not in self._known:
                raise UsageError(f"board {self.board.name}: closed.{name}: {unknown('strategy', name, self._known)}")
            for parameter in ranges:
                if parameter not in (there := self._known[name].parameters):
                    why = unknown(f"parameter of {name}", parameter, there)
                    raise UsageError(f"board {self.board.name}: closed.{name}: {why}")

    @cached_property
    def _known(self) -> dict[str, Strategy]:
        return strategies.all() | {cell.strategy.name: cell.strategy for cell in self.cells}

    @cached_property
    def _specs(self) -> Mapping[str, Spec]:
        """Return one specification for each scenario, by the scenario's name."""
        return {cell.spec.scenario.name: cell.spec for cell in self.cells if cell.spec is not None}

    @cached_property
    def _planned(self) -> Mapping[tuple[str, str], Choice]:
        """Return the strategies with the parameters that the board gives them, by scenario and strategy."""
        specs = (cell.spec for cell in self.cells if cell.spec is not None)
        return {(spec.scenario.name, spec.strategy.name): spec.strategy for spec in specs}

    def on_the_board(self, spec: Spec) -> bool:
        """Tell whether a run stands in the board's tables: its scenario, model and budget are the board's."""
        return (own := self._specs.get(spec.scenario.name)) is not None and own.setting == spec.setting

    def outside(self, spec: Spec) -> list[str]:
        """Return what makes a run open, such as `ewc_lambda = 5000.0, not in [0.1, 1000]`; empty where it is closed."""
        own = self._specs.get(spec.scenario.name)
        if own is None:
            return [f"the scenario {spec.scenario.name}"]
        settings: Iterable[tuple[str, Strict, Strict]] = (
            ("scenario", spec.scenario, own.scenario),
            ("model", spec.model, own.model),
            ("budget", spec.budget, own.budget),
        )
        if spec.validation is not None:
            return ["it is scored on validation samples"]
        differing = [sentence for kind, mine, boards in settings for sentence in _differences(kind, mine, boards)]
        return differing + list(self._of_strategy(spec))

    def _of_strategy(self, spec: Spec) -> Iterator[str]:
        name = spec.strategy.name
        own = self._planned.get((spec.scenario.name, name)) or self._installed(name)
        if own is None or own.code_sha256 != spec.strategy.code_sha256:
            yield f"{name} is neither installed nor the board's" if own is None else f"{name} comes from another file"
            return
        ranges = self.board.closed.get(name, {})
        for parameter in sorted({*own.parameters, *spec.strategy.parameters}):
            value, expected = spec.strategy.parameters.get(parameter), own.parameters.get(parameter)
            if value == expected or (parameter in ranges and _allows(ranges[parameter], value)):
                continue
            yield f"{parameter} = {value!r}, not " + (
                f"in {ranges[parameter]}" if parameter in ranges else f"{expected!r}"
            )

    def _installed(self, name: str) -> Choice | None:
        """Return an installed strategy that the board does not name, with its defaults; None where there is none."""
        if (entry := strategies.all().get(name)) is None:
            return None
        return Choice(name=name, version=entry.version, parameters=entry.resolve(self.board.set.get(name, {})))


def _differences(kind: str, mine: Strict, boards: Strict) -> Iterator[str]:
    one, other = (_flat(values.model_dump(mode="json")) for values in (mine, boards))
    for name in one | other:
        if one.get(name) != other.get(name):
            yield f"{kind}.{name} = {one.get(name)!r}, not {other.get(name)!r}"


def _flat(values: dict[str, Any]) -> dict[str, Any]:
    inner = values.pop("parameters", {})
    return values | {f"parameters.{name}": value for name, value in inner.items()}


def _allows(values: list[Any], value: Any) -> bool:
    if not is_range(values):
        return value in values
    return isinstance(value, int | float) and not isinstance(value, bool) and bool(values[0] <= value <= values[1])
