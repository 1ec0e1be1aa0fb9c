"""What a board leaves a strategy to choose, as Optuna takes it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from lifelong.boards.board import Board, is_range
from lifelong.contracts import Strategy
from lifelong.errors import UsageError
from lifelong.parameters import Parameter

DECADES = 100
"""How many times its lower end a range's upper end must be, at least, to be searched in logarithms."""
Space = Mapping[str, BaseDistribution]
"""By parameter, what it may be."""


def space_of(board: Board, strategy: Strategy, defaults: Mapping[str, Any]) -> Space:
    """What a board's `closed` ranges leave a strategy to choose.

    Of a range of two numbers, all in between: whole numbers where the parameter is one, on a logarithmic scale where
    the range spans two decades or more. Of a choice, what it names.

    Args:
        board: with its `closed` ranges.
        strategy: one of the board, or the user's.
        defaults: its parameters on the board.

    Raises:
        UsageError: if there is nothing to choose, a range does not fit its parameter, or leaves out the default.
    """
    allowed = board.closed.get(strategy.name)
    if allowed is None and strategy.parameters:
        raise UsageError(f"board {board.name} leaves nothing of {strategy.name} to choose; {_example(strategy)}")
    found = {}
    for name, values in (allowed or {}).items():
        where = f"board {board.name}: closed.{strategy.name}.{name} = {values}"
        found[name] = _distribution(strategy, strategy.parameters[name], values, where)
        if not _contains(found[name], defaults[name]):
            raise UsageError(
                f"{where} leaves out {defaults[name]!r}, which it has otherwise and which is tried first: "
                f"write a range that has it, or another value under [set.{strategy.name}]"
            )
    return found


def _distribution(strategy: Strategy, parameter: Parameter, values: list[Any], where: str) -> BaseDistribution:
    checked = [parameter.check(f"closed.{strategy.name}", value) for value in values]
    if not is_range(values):
        if not all(isinstance(value, bool | int | float | str) for value in values):
            raise UsageError(f"{where}: a choice among numbers, texts, true and false alone can be tuned")
        return CategoricalDistribution(checked)
    low, high = checked
    log = low > 0 and high >= DECADES * low
    if is_whole(parameter.annotation):
        return IntDistribution(low, high, log=log)
    return FloatDistribution(low, high, log=log)


def is_whole(annotation: Any) -> bool:
    """Whether a parameter of this type takes whole numbers alone, as `Annotated[int, Ge(1)] | None`."""
    kinds = _kinds(annotation)
    return int in kinds and float not in kinds


def _kinds(annotation: Any) -> list[Any]:
    """What a type is composed of."""
    parts = get_args(annotation)
    return [kind for part in parts for kind in _kinds(part)] if parts else [annotation]


def _contains(distribution: BaseDistribution, value: Any) -> bool:
    if isinstance(distribution, CategoricalDistribution):
        return value in distribution.choices
    assert isinstance(distribution, IntDistribution | FloatDistribution)
    return isinstance(value, int | float) and distribution.low <= value <= distribution.high


def _example(strategy: Strategy) -> str:
    """How to write a space, with one of the strategy's own parameters."""
    numbers = [one for one in strategy.parameters.values() if type(one.default) in (int, float) and one.default > 0]
    if not numbers:
        return f"write what they may be on the board, under [closed.{strategy.name}]"
    name, default = numbers[0].name, numbers[0].default
    low = max(1, default // 10) if is_whole(numbers[0].annotation) else default / 10
    return f"write what it may be on the board, as\n[closed.{strategy.name}]\n{name} = [{low:g}, {default * 10:g}]"
