"""`check`: a strategy tried out, each failure explained, and the exit code that says it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

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


STREAM = """
import torch
from lifelong import Context, scenario
from lifelong.data.resident import Images
from lifelong.data.streams import benchmark_of


def stream(labels, noise=0.0):
    streams = {}
    for name in ("train", "test"):
        y = torch.arange(40) % 2
        x = torch.randn(40, 3, generator=torch.Generator().manual_seed(len(name))) + 3 * y[:, None] + noise
        images = [Images(x, labels(y + 2 * k), name=f"{name} {k}") for k in range(2)]
        streams[name] = [(part, list(range(40))) for part in images]
    return benchmark_of(streams, "")


@scenario(protocol="class", input_shape=(3,), budget={"epochs": 2, "batch_size": 8, "lr": 0.1})
def sound(context: Context):
    '''Two classes, and two more.'''
    return stream(lambda y: y)


@scenario(protocol="class", input_shape=(3,))
def words(context: Context):
    '''Labels that are words.'''
    return stream(lambda y: ["ab"[i % 2] for i in y.tolist()])


@scenario(protocol="class", input_shape=(3,))
def gaps(context: Context):
    '''Labels that begin with one.'''
    return stream(lambda y: y + 1)


@scenario(protocol="class", input_shape=(4,))
def another_shape(context: Context):
    '''A wrong shape is stated.'''
    return stream(lambda y: y)


@scenario(protocol="class", input_shape=(3,))
def broken(context: Context):
    '''It raises.'''
    return stream(lambda y: y)[7]
"""


def test_a_scenario_is_tried_out_with_plain_fine_tuning(ask: Ask, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(STREAM)
    answer = ask("check", "mine.py:sound", "--json")
    (told,) = json.loads(answer.out)
    assert (told["strategy"], answer.code) == ("naive", 0), told
    assert {result["scenario"] for result in told["results"]} == {"sound"}


@pytest.mark.parametrize("command", [("check",), ("run", "board.toml")], ids=["check", "run"])
@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("words", "the labels of the images 'train 0' are list, and not numbers; number classes from 0"),
        ("gaps", "gaps: training sets lack the class 0, and the largest is 4: number classes from 0 without gaps"),
        ("another_shape", "samples have the shape (3,), and the scenario states input_shape=(4,)"),
        ("broken", "broken cannot be built: TypeError: 'CLScenario' object is not subscriptable (mine.py:45)"),
    ],
)
def test_a_mistake_in_a_scenario_is_told_once(
    ask: Ask, tmp_path: Path, command: tuple[str, ...], name: str, told: str
) -> None:
    (tmp_path / "mine.py").write_text(STREAM)
    (tmp_path / "board.toml").write_text(
        f'title = "t"\nscenarios = ["mine.py:{name}"]\nstrategies = ["naive", "replay"]\nseeds = 2\n'
    )
    arguments = command if command[0] == "run" else (*command, f"mine.py:{name}")
    answer = ask(*arguments)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.count(told) == 1, answer.err
    assert not list(tmp_path.glob("results/*/*/*/*.json"))
