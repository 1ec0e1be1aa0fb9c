"""What a board leaves to choose, and what cannot be chosen from."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest
from annotated_types import Ge
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from lifelong.boards.board import Board
from lifelong.contracts import Strategy, strategy
from lifelong.errors import UsageError
from lifelong.tuning.space import space_of


@strategy()
def method(
    setup: Any,
    weight: float = 1.0,
    count: Annotated[int, Ge(1)] = 10,
    most: int | None = None,
    mode: Literal["a", "b"] = "a",
    flag: bool = False,
    share: float | int = 0.5,
) -> None: ...


@strategy()
def plain(setup: Any) -> None: ...


def board(**closed: Any) -> Board:
    ranges = {"method": closed} if closed else {}
    return Board.model_validate({"name": "b", "scenarios": ["toy"], "strategies": ["method"], "closed": ranges})


def space(entry: Strategy = method, **closed: Any) -> dict[str, BaseDistribution]:
    return dict(space_of(board(**closed), entry, entry.resolve({})))


@pytest.mark.parametrize(
    ("closed", "found"),
    [
        ({"weight": [0.5, 2]}, FloatDistribution(0.5, 2.0)),
        ({"weight": [0, 1000]}, FloatDistribution(0, 1000)),
        ({"weight": [0.1, 10]}, FloatDistribution(0.1, 10, log=True)),
        ({"weight": [0.2, 10]}, FloatDistribution(0.2, 10)),
        ({"count": [5, 50]}, IntDistribution(5, 50)),
        ({"count": [1, 100]}, IntDistribution(1, 100, log=True)),
        ({"share": [0, 1]}, FloatDistribution(0, 1)),
        ({"mode": ["b", "a"]}, CategoricalDistribution(["b", "a"])),
        ({"flag": [True, False]}, CategoricalDistribution([True, False])),
        ({"count": [10, 20, 40]}, CategoricalDistribution([10, 20, 40])),
    ],
)
def test_ranges_and_choices(closed: dict[str, Any], found: BaseDistribution) -> None:
    assert space(**closed) == {next(iter(closed)): found}


@pytest.mark.parametrize(
    ("closed", "why"),
    [
        ({"weight": [2, 3]}, r"closed.method.weight = \[2, 3\] leaves out 1.0, .* under \[set.method\]"),
        ({"mode": ["b"]}, r"closed.method.mode = \['b'\] leaves out 'a'"),
        ({"most": [1, 5]}, r"closed.method.most = \[1, 5\] leaves out None"),
        ({"count": [0.5, 50]}, r"closed.method.count = 0.5: .* integer"),
        ({"count": [0, 50]}, r"closed.method.count = 0: .* greater than or equal to 1"),
        ({"mode": ["a", "c"]}, r"closed.method.mode = 'c': "),
        ({"most": [[1], [2]]}, "closed.method.most"),
    ],
)
def test_what_cannot_be_chosen_from_is_refused(closed: dict[str, Any], why: str) -> None:
    with pytest.raises(UsageError, match=why):
        space(**closed)


def test_where_the_board_leaves_no_choice_it_is_said_how_to_write_one() -> None:
    with pytest.raises(
        UsageError, match=r"board b leaves nothing of method to choose.*\n\[closed.method\]\nweight = \[0.1, 10\]"
    ):
        space()


def test_a_strategy_without_parameters_has_nothing_to_choose() -> None:
    assert space(plain) == {}
