"""From a board to chosen parameters, and to the results of runs with them; and what cannot be tuned."""

from __future__ import annotations

import json
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Ask = Callable[..., Any]

BOARD = """
scenarios = ["toy"]
strategies = ["naive", "ewc", "replay"]
seeds = 1
[budget]
epochs = 1
[set.ewc]
ewc_lambda = 10.0
[closed.ewc]
ewc_lambda = [1, 1000]
[tuning]
trials = 2
seeds = [100]
"""


@pytest.fixture(autouse=True)
def board(tmp_path: Path) -> None:
    (tmp_path / "b.toml").write_text(BOARD)


@pytest.mark.slow
def test_from_a_board_to_tuned_results(ask: Ask, command: Any) -> None:
    tuned = ask("tune", "b.toml")
    assert tuned.code == 0, tuned.err
    assert tuned.err.splitlines()[-1] == "now: lifelong run b.toml --set tuning/b/tuned.toml"
    assert "skipped: board b leaves nothing of replay to choose" in tuned.err
    assert {*command.records("tuning")} == {"naive 100", "ewc 100"}
    assert all(record.spec.validation is not None for record in command.records("tuning").values())

    chosen = tomllib.loads((command.folder / "tuning/b/tuned.toml").read_text())
    study = chosen["tuning"]["toy"]["ewc"]
    assert (study["trials"], study["seeds"], study["protocol"], study["validation"]) == (2, [100], "first", 0.2)
    assert study["chosen"] == chosen["toy"]["ewc"]

    again = ask("tune", "b.toml")
    assert (again.code, again.out) == (0, tuned.out)
    assert "nothing to run: 2 studies have all their trials" in again.err

    assert ask("run", "b.toml", "--set", "tuning/b/tuned.toml", "--wandb", "off").code == 0
    records = command.records()
    assert records["ewc 0"].spec.strategy.parameters["ewc_lambda"] == chosen["toy"]["ewc"]["ewc_lambda"]
    assert records["ewc 0"].provenance.tuned.model_dump(mode="json") == study
    assert records["ewc 0"].spec.validation is None
    assert records["replay 0"].provenance.tuned is None


STUDY = {
    "study": "0" * 64,
    "board": "b",
    "protocol": "first",
    "validation": 0.2,
    "seeds": [100],
    "trials": 2,
    "value": 0.5,
    "chosen": {"ewc_lambda": 20.0},
}


def write(folder: Path, **changes: Any) -> None:
    study = "\n".join(
        f"{name} = {json.dumps(value)}" for name, value in {**STUDY, **changes}.items() if name != "chosen"
    )
    lines = ["[toy.ewc]", "ewc_lambda = 20.0", "[tuning.toy.ewc]", study, "chosen = { ewc_lambda = 20.0 }"]
    (folder / "tuned.toml").write_text("\n".join(lines))


def test_what_a_study_chose_for_others_is_passed_over(ask: Ask, tmp_path: Path) -> None:
    write(tmp_path)
    assert ask("plan", "b.toml", "--set", "tuned.toml", "--strategy", "replay").code == 0
    assert ask("plan", "b.toml", "--set", "tuned.toml", "--strategy", "ewc", "--scenario", "toy-task").code == 0


def test_what_is_said_of_a_study_is_checked(ask: Ask, tmp_path: Path) -> None:
    write(tmp_path, trials=-1)
    answer = ask("plan", "b.toml", "--set", "tuned.toml")
    assert answer.code == 2
    assert "--set tuning.toy.ewc.trials: Input should be greater than or equal to 0" in answer.err


@pytest.mark.parametrize(
    ("request_", "why"),
    [
        (
            "tune b.toml --strategy replay",
            "board b leaves nothing of replay to choose; write what it may be on the board, for example",
        ),
        ("tune b.toml --seeds 0-3", "--seeds: 0 is one of the board's own seeds, which the results have; take others"),
        ("tune b.toml --strategy ewcc", "no strategy 'ewcc'; did you mean 'ewc'?"),
        ("tune b.toml --scenario online-permuted-digits", "online-permuted-digits holds no samples out"),
        ("tune b.toml --trials 0", "--trials"),
        ("tune b.toml --protocol test", "--protocol"),
        ("tune b.toml --timeout 0s", "--timeout '0s': leaves no time to run"),
        ("tune toy-v1 --strategy replay", "board toy-v1 leaves nothing of replay to choose"),
    ],
)
def test_what_cannot_be_tuned_is_refused(ask: Ask, tmp_path: Path, request_: str, why: str) -> None:
    answer = ask(*request_.split())
    assert (answer.code, answer.out) == (2, "")
    assert why in answer.err
    assert not (tmp_path / "tuning").exists()


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("trials = 0", "b.toml:12: tuning.trials: Input should be greater than or equal to 1"),
        ("trial = 5", "b.toml:12: no key 'tuning.trial' on a board; there are protocol, seeds, trials, validation"),
        ("seeds = [0, 5]", "b.toml:11: tuning: 0 is one of the board's own seeds"),
        ("seeds = [5, 5]", "tuning.seeds: a seed stands twice"),
        ("validation = 1.0", "tuning.validation: Input should be less than or equal to 0.9"),
    ],
)
def test_a_board_that_asks_for_what_cannot_be_is_refused(ask: Ask, tmp_path: Path, line: str, why: str) -> None:
    (tmp_path / "b.toml").write_text(BOARD.partition("trials")[0] + line)
    answer = ask("show", "board", "b.toml")
    assert answer.code == 2
    assert why in answer.err


def test_how_a_board_is_tuned_is_shown(ask: Ask) -> None:
    known = json.loads(ask("show", "board", "b.toml", "--json").out)
    assert known["tuning"] == {"trials": 2, "seeds": [100], "protocol": "first", "validation": 0.2}
    assert json.loads(ask("show", "board", "toy-v1", "--json").out)["tuning"] is None


def test_without_optuna_it_is_said_how_to_get_it(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    answer = ask("tune", "b.toml")
    assert (answer.code, answer.err.strip()) == (2, "lifelong: tuning needs Optuna: pip install 'lifelong[tune]'")
