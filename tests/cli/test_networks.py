"""A network of one's own on a board: found beside it, named in records, checked, refused where it does not fit."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lifelong.records.record import read

Ask = Callable[..., Any]
NETWORK = """
from torch import nn


class Own(nn.Module):
    \"\"\"One hidden layer.\"\"\"

    def __init__(self, num_classes, width: int = 8):
        super().__init__()
        self.hidden = nn.Sequential(nn.Flatten(), nn.Linear(16, width), nn.ReLU())
        self.answer = nn.Linear(width, num_classes)

    def forward(self, x):
        return self.answer(self.hidden(x))
"""
BOARD = """
title = "t"
scenarios = ["toy", "toy-task"]
strategies = ["ewc", "dropin", "ncm"]
seeds = 1
[budget]
epochs = 2
[model]
name = "net.py:Own"
width = 12
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a board and, beside it, its network; it is not the one that commands are given in."""
    folder = tmp_path / "boards"
    folder.mkdir()
    (folder / "net.py").write_text(NETWORK)
    (folder / "own.toml").write_text(BOARD)
    return folder


def test_a_board_runs_on_a_network_that_lies_beside_it(command: Any, folder: Path) -> None:
    board = folder / "own.toml"
    answer = command("run", board, "--wandb", "off", "--workers", "1")
    assert answer.code == 0, answer.err
    records = [read(path) for path in command.folder.glob("results/own/*/*/*.json")]
    assert {record.status for record in records} == {"ok"}
    code = hashlib.sha256(NETWORK.encode()).hexdigest()
    chosen = {(one.spec.model.name, one.spec.model.code_sha256, one.spec.model.parameters["width"]) for one in records}
    assert chosen == {("Own", code, 12)}
    sizes = {record.spec.strategy.name: record.capacity[-1].parameters for record in records}
    assert sizes["naive"] == sizes["ewc"] < sizes["dropin"]
    again = command("run", board, "--wandb", "off")
    assert "nothing to run" in again.err
    (folder / "net.py").write_text(NETWORK.replace("ReLU", "Tanh"))
    assert "0 of 9 cells done, 0 failed, 9 missing" in command("plan", board).out


def test_a_network_is_shown_and_checked(ask: Ask, folder: Path) -> None:
    shown = json.loads(ask("show", "model", str(folder / "net.py:Own"), "--json").out)
    assert [one["name"] for one in shown["parameters"]] == ["width", "head"]
    answer = ask("check", str(folder / "net.py:Own"), "--scenario", "toy", "--json")
    (told,) = json.loads(answer.out)
    assert (answer.code, told["strategy"], told["model"]) == (0, "naive", "Own")
    assert {"has its parts": "passed", "can be changed": "passed"}.items() <= {
        result["check"]: result["verdict"] for result in told["results"]
    }.items()


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (["model.widht=3"], "no parameter of Own 'widht'; did you mean 'width'"),
        (["model.width=wide"], "Own.width = 'wide'"),
        (["model.name=net.py:Own"], "no file"),
        (["model.name=mpl"], "no model 'mpl'; did you mean 'mlp'"),
        (["model.name=lstm", "model.layers=0"], "lstm: layers = [0]: each must be at least 1"),
        (["model.name=torchvision:squeezenet1_1"], "torchvision:squeezenet1_1"),
    ],
)
def test_a_network_that_does_not_fit_is_refused_before_training(
    command: Any, folder: Path, settings: list[str], told: str
) -> None:
    (folder / "own.toml").write_text(BOARD.replace("width = 12\n", ""))
    sets = [word for setting in settings for word in ("--set", setting)]
    answer = command("run", folder / "own.toml", "--wandb", "off", *sets)
    assert (answer.code, "Traceback" in answer.err) == (2, False), answer.err
    assert told in answer.err
    assert not list(command.folder.glob("results/*/*/*/*.json"))
