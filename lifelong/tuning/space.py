"""Turns the ranges that a board leaves a strategy to choose from into distributions of Optuna."""

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
"""A range is searched on a logarithmic scale if its upper end is at least so many times its lower end."""
Space = Mapping[str, BaseDistribution]
"""The values that each parameter may have, by the parameter's name."""


def space_of(board: Board, strategy: Strategy, defaults: Mapping[str, Any]) -> Space:
    """Return what a board's `closed` ranges leave a strategy to choose.

    A range of two numbers allows all numbers in between: whole ones if the parameter takes only these, and on a
    logarithmic scale if the range spans two decades or more. A list of values allows the values that it names.

    Args:
        board: the board, with its `closed` ranges.
        strategy: a strategy of the board, or the user's own.
        defaults: the strategy's parameters on the board.

    Raises:
        UsageError: if there is nothing to choose, or if a range does not fit its parameter or leaves out its default.
    """
    allowed = board.closed.get(strategy.name)
    if allowed is None and strategy.parameters:
        raise UsageError(f"board {board.name} leaves nothing of {strategy.name} to choose; {_example(strategy)}")
    space = {}
    for name, values in (allowed or {}).items():
        where = f"board {board.name}: closed.{strategy.name}.{name} = {values}"
        space[name] = _distribution(strategy, strategy.parameters[name], values, where)
        if not _contains(space[name], defaults[name]):
            raise UsageError(
                f"{where} leaves out {defaults[name]!r}, which it has otherwise and which is tried first: "
                f"write a range that has it, or another value under [set.{strategy.name}]"
            )
    return space


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
    """Tell whether a parameter of this type takes whole numbers only.

    >>> is_whole(int | None), is_whole(float), is_whole(int | float)
    (True, False, False)
    """
    kinds = _kinds(annotation)
    return int in kinds and float not in kinds


def _kinds(annotation: Any) -> list[Any]:
    """Return the plain types that a type is composed of, and what it is annotated with."""
    parts = get_args(annotation)
    return [kind for part in parts for kind in _kinds(part)] if parts else [annotation]


def _contains(distribution: BaseDistribution, value: Any) -> bool:
    if isinstance(distribution, CategoricalDistribution):
        return value in distribution.choices
    assert isinstance(distribution, IntDistribution | FloatDistribution)
    return isinstance(value, int | float) and distribution.low <= value <= distribution.high


def _example(strategy: Strategy) -> str:
    """Say how to write a range, with one of the strategy's own parameters as the example."""
    numbers = [one for one in strategy.parameters.values() if type(one.default) in (int, float) and one.default > 0]
    if not numbers:
        return f"write what they may be on the board, under [closed.{strategy.name}]"
    name, default = numbers[0].name, numbers[0].default
    low = max(1, default // 10) if is_whole(numbers[0].annotation) else default / 10
    values = f"{name} = [{low:g}, {default * 10:g}]"
    return f"write what it may be on the board, for example\n[closed.{strategy.name}]\n{values}"
