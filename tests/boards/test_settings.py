"""What a plan's runs are resolved with: the board, and over it the user; all scenarios, and over them one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lifelong.boards.board import load_board
from lifelong.boards.plan import AtHand, Wishes, make_plan
from lifelong.errors import UsageError
from lifelong.records.spec import Spec

BOARD = """
scenarios = ["digits-class", "digits-task"]
strategies = ["ewc", "replay"]
seeds = [0]
"""


def specs(folder: Path, board: str, *settings: str, **wishes: Any) -> dict[tuple[str, str], Spec]:
    file = folder / "b.toml"
    file.write_text(BOARD + board)
    plan = make_plan(load_board(str(file)), Wishes(set=settings, **wishes), AtHand())
    return {(cell.scenario.name, cell.strategy.name): cell.spec for cell in plan.cells if cell.spec is not None}


def lambdas(found: dict[tuple[str, str], Spec]) -> list[float]:
    return [found[name, "ewc"].strategy.parameters["ewc_lambda"] for name in ("digits-class", "digits-task")]


def test_one_scenario_precedes_all_and_the_user_the_board(tmp_path: Path) -> None:
    board = "[set.ewc]\newc_lambda = 1\n[set.digits-task.ewc]\newc_lambda = 2\n"
    assert lambdas(specs(tmp_path, board)) == [1, 2]
    assert lambdas(specs(tmp_path, board, "digits-class.ewc.ewc_lambda=3")) == [3, 2]
    assert lambdas(specs(tmp_path, board, "ewc.ewc_lambda=4")) == [4, 4]
    assert lambdas(specs(tmp_path, board, "ewc.ewc_lambda=4", "digits-task.ewc.ewc_lambda=5")) == [4, 5]


def test_a_scenario_has_parameters_of_its_own_beside_those_of_others(tmp_path: Path) -> None:
    tables = ("]\nexperiences = 2", ".budget]\nlr = 0.5", ".model]\nwidths = [7]")
    found = specs(tmp_path, "\n".join(f"[set.digits-task{table}" for table in tables))
    task, other = found["digits-task", "ewc"], found["digits-class", "ewc"]
    assert (task.scenario.parameters["experiences"], task.budget.lr, task.model.parameters["widths"]) == (2, 0.5, [7])
    assert (other.scenario.parameters["experiences"], other.budget.lr) == (5, 0.001)
    assert other.model.parameters["widths"] == [100, 100]


def test_a_file_of_settings(tmp_path: Path) -> None:
    tuned = tmp_path / "tuned.toml"
    tuned.write_text("[ewc]\newc_lambda = 7\n[digits-task.ewc]\newc_lambda = 8\n[budget]\nepochs = 3\n")
    found = specs(tmp_path, "", str(tuned))
    assert lambdas(found) == [7, 8]
    assert {spec.budget.epochs for spec in found.values()} == {3}
    assert lambdas(specs(tmp_path, "", str(tuned), "ewc.ewc_lambda=9")) == [9, 8]


def test_one_length_of_the_budget_takes_the_place_of_another(tmp_path: Path) -> None:
    by_user = specs(tmp_path, "[budget]\nepochs = 3\n", "budget.iterations=50")
    assert {(spec.budget.length, spec.budget.iterations) for spec in by_user.values()} == {("iterations", 50)}
    of_one = specs(tmp_path, "[budget]\niterations = 50\n[set.digits-task.budget]\nepochs = 2\n")
    assert of_one["digits-class", "ewc"].budget.length == "iterations"
    assert of_one["digits-task", "ewc"].budget.epochs == 2


def test_a_strategy_on_some_scenarios_alone(tmp_path: Path) -> None:
    board = '[on]\newc = ["digits-task"]\n'
    found = specs(tmp_path, board)
    assert {pair for pair in found if pair[1] in ("ewc", "replay")} == {
        *(("digits-task", "ewc"), ("digits-task", "replay"), ("digits-class", "replay"))
    }
    assert load_board(str(tmp_path / "b.toml")).cells == 3
    with pytest.raises(UsageError, match="runs ewc only on digits-task"):
        specs(tmp_path, board, strategies=("ewc",), scenarios=("digits-class",))


def test_a_strategy_of_a_file_on_some_scenarios_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("def method(setup): ...\n")
    text = BOARD.replace('"replay"', '"mine.py:method"') + '[on]\n"mine.py:method" = ["digits-task"]\n'
    (tmp_path / "own.toml").write_text(text)
    plan = make_plan(load_board(str(tmp_path / "own.toml")), Wishes(), AtHand())
    assert [cell.scenario.name for cell in plan.cells if cell.strategy.name == "method"] == ["digits-task"]


@pytest.mark.parametrize(
    ("board", "settings", "told"),
    [
        ("[set.digits-task.ewcc]\nx = 1\n", [], "no strategy or scenario 'ewcc'; did you mean 'ewc'"),
        ("[set.digits-task.ewc]\nx = 1\n", [], "no parameter of ewc 'x'"),
        ('[on]\nmas = ["digits-task"]\n', [], "'mas' is not among the board's strategies"),
        ('[on]\newc = ["toy"]\n', [], "'toy' is not among the board's scenarios"),
        ("[budget]\nepochs = 1\niterations = 2\n", [], "epochs and iterations are both given"),
        ("", ["a.b.c.d=1"], "write it as ewc.ewc_lambda=0.4"),
        ("", ["digits-task.mas.alpha=1"], "mas is not among what is to run"),
        ("", ["nowhere.toml"], "nowhere.toml: No such file"),
        ("", ["{folder}/list.toml"], "'x' stands alone; write its owner above it"),
        ("", ["{folder}/broken.toml"], "is not TOML"),
    ],
)
def test_what_cannot_be_set(tmp_path: Path, board: str, settings: list[str], told: str) -> None:
    (tmp_path / "list.toml").write_text("x = [1]\n")
    (tmp_path / "broken.toml").write_text("x = \n")
    with pytest.raises(UsageError) as refusal:
        specs(tmp_path, board, *(setting.format(folder=tmp_path) for setting in settings))
    assert told in str(refusal.value)


def test_a_control_follows_its_strategy_as_that_is_set(tmp_path: Path) -> None:
    board = """[set.dropin]
share = 0.3
[set.digits-task.dropin]
cap = 4.0
"""
    names = {"strategies": ["dropin", "matched-final", "random-growth"]}
    planned = specs(tmp_path, board, **names)
    for control in ("matched-final", "random-growth"):
        inherited = [planned[name, control].strategy.parameters for name in ("digits-class", "digits-task")]
        assert inherited == [
            {"of": "dropin", "parameters": {"share": 0.3}},
            {"of": "dropin", "parameters": {"share": 0.3, "cap": 4.0}},
        ]
    own = specs(tmp_path, board, "matched-final.parameters={share=0.5}", **names)
    assert own["digits-task", "matched-final"].strategy.parameters["parameters"] == {"share": 0.5}
    other = specs(tmp_path, board, "matched-final.of=surprise-growth", **names)
    assert other["digits-task", "matched-final"].strategy.parameters["parameters"] == {}


def test_a_control_of_what_does_not_exist_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("def grower(setup):\n    return setup.naive()\n")
    mine = str(tmp_path / "mine.py:grower")
    with pytest.raises(UsageError, match="no strategy 'dropinn'; did you mean 'dropin'"):
        specs(tmp_path, "", "matched-final.of=dropinn", strategies=["matched-final"])
    with pytest.raises(UsageError, match=r"matched-final.of = 'grower': name its file too, such as 'mine.py:grower'"):
        specs(tmp_path, "", "matched-final.of=grower", strategies=[mine, "matched-final"])
