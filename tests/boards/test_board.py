"""Board files."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifelong.boards.board import MAX_SEED, load_board
from lifelong.boards.plan import Wishes, make_plan, parse_seeds
from lifelong.boards.settings import parse_value
from lifelong.errors import UsageError
from lifelong.records.metrics import RUN_METRICS
from lifelong.records.store import Store
from lifelong.registry import boards


@pytest.mark.parametrize("name", boards())
def test_every_board_that_comes_along_can_be_planned(name: str, tmp_path: Path) -> None:
    board = load_board(name)
    plan = make_plan(board, Wishes(), Store(tmp_path, board.name))
    planned = {(cell.scenario.name, cell.strategy.name, cell.seed) for cell in plan.cells}
    pairs = {(a, b) for a in board.scenarios for b in board.strategies if board.has(a, b)}
    assert planned >= {(*pair, seed) for pair in pairs for seed in board.seeds}
    assert {"floor", "ceiling"} <= {cell.strategy.role for cell in plan.cells}
    assert len({cell.spec.key for cell in plan.cells if cell.spec}) == sum(cell.spec is not None for cell in plan.cells)


def test_files_are_found_beside_the_board(tmp_path: Path) -> None:
    folder = tmp_path / "a folder"
    folder.mkdir()
    (folder / "mine.py").write_text("def method(setup): ...\n")
    file = folder / "b.toml"
    file.write_text('name = "other"\nscenarios = ["toy"]\nstrategies = ["mine.py:method"]\nseeds = [7, 3]\n')
    board = load_board(str(file))
    assert (board.name, board.seeds) == ("other", [7, 3])
    plan = make_plan(board, Wishes(), Store(tmp_path, board.name))
    mine = [cell for cell in plan.cells if cell.strategy.name == "method"]
    assert [cell.seed for cell in mine] == [7, 3]
    # a worker, in whatever folder, finds it by this
    assert {cell.references for cell in mine} == {("toy", f"{folder / 'mine.py'}:method", "mlp")}


def test_a_board_states_its_metrics(tmp_path: Path) -> None:
    file = tmp_path / "b.toml"
    text = 'scenarios = ["toy"]\nstrategies = ["naive"]\n'
    file.write_text(text)
    assert set(load_board(str(file)).metrics[:2]) == {"average_accuracy", "forgetting"}
    assert set(load_board(str(file)).metrics) <= set(RUN_METRICS)
    file.write_text(text + 'metrics = ["online_accuracy", "dormant_units"]\n')
    assert load_board(str(file)).metrics == ["online_accuracy", "dormant_units"]
    for metrics, why in {
        '["onlin_accuracy"]': "no metric 'onlin_accuracy'; did you mean 'online_accuracy'",
        '["forgetting", "forgetting"]': "'forgetting' stands twice",
        "[]": "metrics: there must be at least one",
    }.items():
        file.write_text(f"{text}metrics = {metrics}\n")
        with pytest.raises(UsageError) as refusal:
            load_board(str(file))
        assert str(refusal.value).startswith(f"{file}:3: ")
        assert why in str(refusal.value)


def test_a_relative_file_is_the_same_strategy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.py").write_text("def method(setup): ...\n")
    monkeypatch.chdir(tmp_path)
    board = load_board("toy-v1")
    plans = [
        make_plan(board, Wishes(strategies=(reference,)), Store(tmp_path, board.name))
        for reference in ("mine.py:method", "./mine.py:method", f"{tmp_path}/mine.py:method")
    ]
    keys = [{cell.spec.key for cell in plan.cells if cell.spec} for plan in plans]
    assert keys[0] == keys[1] == keys[2]
    assert len(keys[0]) == 6


def test_the_code_of_a_users_file_is_part_of_the_run(tmp_path: Path) -> None:
    board = load_board("toy-v1")
    keys = []
    for number, text in enumerate(["", "", "# another\n"]):
        file = tmp_path / str(number) / "mine.py"
        file.parent.mkdir()
        file.write_text(f"def method(setup): ...\n{text}")
        plan = make_plan(board, Wishes(strategies=(f"{file}:method",), seeds="0"), Store(tmp_path, board.name))
        keys += [cell.spec.key for cell in plan.cells if cell.spec and cell.strategy.name == "method"]
    assert keys[0] == keys[1] != keys[2]


@given(st.lists(st.integers(0, MAX_SEED), min_size=1, max_size=20))
def test_a_list_of_seeds_is_read_as_written(seeds: list[int]) -> None:
    assert parse_seeds(",".join(map(str, seeds))) == list(dict.fromkeys(seeds))


@given(st.integers(0, MAX_SEED), st.integers(0, 500))
def test_a_range_of_seeds_has_both_ends(low: int, more: int) -> None:
    high = min(low + more, MAX_SEED)
    assert parse_seeds(f"{low}-{high}") == list(range(low, high + 1))


@given(st.text(max_size=12))
def test_any_text_is_seeds_or_is_refused(text: str) -> None:
    try:
        seeds = parse_seeds(text)
    except UsageError:
        return
    assert seeds
    assert all(0 <= seed <= MAX_SEED for seed in seeds)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0.4", 0.4),
        ("2", 2),
        ("1e-3", 1e-3),
        ("true", True),
        ("[100, 50]", [100, 50]),
        ("'a b'", "a b"),
        ("online", "online"),
        ("a = b", "a = b"),
        ("", ""),
        ("[" * 100_000, "[" * 100_000),
    ],
)
def test_values_are_read_as_toml_or_else_as_text(text: str, value: object) -> None:
    assert parse_value(text) == value


@given(st.text())
def test_any_text_is_a_value(text: str) -> None:
    parse_value(text)
