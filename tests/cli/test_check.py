"""`check`: a strategy tried out, each failure explained, and the exit code that says it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

Ask = Callable[..., Any]
LEAKS = """
from avalanche.core import SupervisedPlugin
from lifelong import Setup, strategy


class Leaks(SupervisedPlugin):
    def after_eval_forward(self, trained, **kwargs):
        print("printed by a strategy")
        trained.mb_output = trained.mb_output.scatter(1, trained.mb_y[:, None], 100.0)


@strategy(source="ours")
def leaks(setup: Setup):
    \"\"\"Reads test labels.\"\"\"
    return setup.naive(Leaks())
"""
SHORT = ("--scenario", "toy", "--set", "budget.epochs=4")


def test_what_passes_is_a_table_of_ticks(ask: Ask) -> None:
    answer = ask("check", "naive", "ewc", "naive", "--set", "ewc.ewc_lambda=0.5", *SHORT)
    assert answer.code == 0
    assert answer.out.count("✓") == 26
    assert "✗" not in answer.out
    assert "ewc on toy" in answer.err
    assert "nothing fails" in answer.err


def test_what_fails_is_explained(ask: Ask, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(LEAKS)
    answer = ask("check", "mine.py:leaks", *SHORT)
    assert answer.code == 1
    told = answer.out.partition("✗ answers without test labels on toy\n")[2].splitlines()
    assert [line.split()[0] for line in told[:4]] == ["expected", "happened", "likely", "mend"]
    assert "strategy.mb_y" in told[2]
    assert "printed by" not in answer.out + answer.err


def test_programs_get_nothing_but_data(ask: Ask, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(LEAKS)
    answer = ask("check", "mine.py:leaks", "--json", *SHORT)
    (told,) = json.loads(answer.out)
    assert (answer.code, told["strategy"], told["ok"]) == (1, "leaks", False)


def test_what_cannot_be_asked_is_refused(ask: Ask) -> None:
    for arguments, told in [
        (("evc",), "no strategy 'evc'; did you mean 'ewc'"),
        (("mine.py:x",), "no file"),
        (("ewc", "--set", "ewc.lambda=1"), "did you mean 'ewc_lambda'"),
        (("ewc", "--scenario", "tov"), "lifelong: no scenario 'tov'; did you mean 'toy'"),
    ]:
        answer = ask("check", *arguments)
        assert (answer.code, answer.out) == (2, "")
        assert told in answer.err
