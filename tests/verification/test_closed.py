"""Which runs are closed, and which are open and why."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lifelong.boards.board import load_board
from lifelong.boards.plan import Wishes, make_plan
from lifelong.errors import UsageError
from lifelong.records.spec import Spec
from lifelong.records.store import Store
from lifelong.verification.closed import Division

BOARD = 'scenarios = ["toy"]\nstrategies = ["naive", "ewc", "sgd.py:plain"]\nseeds = 1\n'
RANGES = "[closed.ewc]\newc_lambda = [0.1, 100]\nmode = ['online', 'separate']\n"
Divide = Callable[..., tuple[Division, Callable[..., Spec]]]


@pytest.fixture
def divide(tmp_path: Path) -> Divide:
    """A board's division, and the specification of a run with the user's settings."""

    def made(ranges: str = RANGES) -> tuple[Division, Callable[..., Spec]]:
        (tmp_path / "sgd.py").write_text("def plain(setup): ...\n")
        (tmp_path / "b.toml").write_text(BOARD + ranges)
        board = load_board(str(tmp_path / "b.toml"))
        store = Store(tmp_path, board.name)

        def spec(strategy: str, *settings: str) -> Spec:
            plan = make_plan(board, Wishes(strategies=(strategy,), set=settings), store)
            name = strategy.rpartition(":")[2]
            return next(cell.spec for cell in plan.cells if cell.spec and cell.strategy.name == name)

        return Division(board, tuple(make_plan(board, Wishes(), store).cells)), spec

    return made


@pytest.mark.parametrize(
    ("strategy", "settings", "outside"),
    [
        ("naive", (), []),
        ("ewc", (), []),
        ("ewc", ("ewc.ewc_lambda=0.1", "ewc.mode=separate"), []),
        ("ewc", ("ewc.ewc_lambda=100",), []),
        ("ewc", ("ewc.ewc_lambda=100.5",), ["ewc_lambda = 100.5, not in [0.1, 100]"]),
        ("ewc", ("ewc.ewc_lambda=0",), ["ewc_lambda = 0.0, not in [0.1, 100]"]),
        ("ewc", ("ewc.decay_factor=0.5",), ["decay_factor = 0.5, not "]),
        ("ewc", ("budget.epochs=7",), ["budget.epochs = 7, not "]),
        ("ewc", ("model.widths=[7]",), ["model.parameters.widths = [7], not "]),
        ("replay", (), []),
        ("replay", ("replay.mem_size=7",), ["mem_size = 7, not 200"]),
        ("{folder}/sgd.py:plain", (), []),
        ("{folder}/other.py:mine", (), ["mine is neither installed nor the board's"]),
        ("{folder}/other.py:ewc", (), ["ewc comes from another file"]),
    ],
)
def test_what_lies_outside(
    divide: Divide, tmp_path: Path, strategy: str, settings: tuple[str, ...], outside: list[str]
) -> None:
    (tmp_path / "other.py").write_text("def mine(setup): ...\ndef ewc(setup): ...\n")
    division, spec = divide()
    if strategy.endswith("other.py:ewc"):
        ours = spec("naive")
        theirs = ours.strategy.model_copy(update={"name": "ewc", "code_sha256": "0" * 64})
        run = ours.model_copy(update={"strategy": theirs})
    else:
        run = spec(strategy.format(folder=tmp_path), *settings)
    found = division.outside(run)
    assert len(found) == len(outside)
    assert all(one.startswith(start) for one, start in zip(found, outside, strict=True))


def test_another_scenario_is_outside(divide: Divide) -> None:
    division, spec = divide()
    run = spec("naive")
    other = run.model_copy(update={"scenario": run.scenario.model_copy(update={"name": "mnist-class"})})
    assert division.outside(other) == ["the scenario mnist-class"]
    hidden = run.model.model_copy(update={"name": "cnn", "parameters": run.model.parameters | {"name": "mlp"}})
    assert any("model.name" in one for one in division.outside(run.model_copy(update={"model": hidden})))


@pytest.mark.parametrize(
    ("ranges", "line", "why"),
    [
        ("[closed.ewc]\newc_lambda = 3\n", 5, "write a range, such as [0.1, 1000], or a choice"),
        ("[closed.ewc]\newc_lambda = []\n", 5, "write a range, such as [0.1, 1000], or a choice"),
        ("[closed.ewc]\newc_lambda = [5, 1]\n", 5, "the range [5, 1] is empty; did you mean [1, 5]?"),
        ("[closed]\newc = 3\n", 5, "closed.ewc: Input should be a valid dictionary"),
    ],
)
def test_a_range_that_is_none_is_told_with_its_line(divide: Divide, ranges: str, line: int, why: str) -> None:
    with pytest.raises(UsageError) as refusal:
        divide(ranges)
    assert f"b.toml:{line}: closed.ewc" in str(refusal.value)
    assert why in str(refusal.value)


@pytest.mark.parametrize(
    ("ranges", "why"),
    [
        ("[closed.ewcc]\nx = [1, 2]\n", "closed.ewcc: no strategy 'ewcc'; did you mean 'ewc'"),
        ("[closed.ewc]\nlambda = [1, 2]\n", "closed.ewc: no parameter of ewc 'lambda'; did you mean 'ewc_lambda'"),
    ],
)
def test_a_range_of_nothing_is_told(divide: Divide, ranges: str, why: str) -> None:
    with pytest.raises(UsageError) as refusal:
        divide(ranges)
    assert why in str(refusal.value)
