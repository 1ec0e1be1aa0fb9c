"""`lifelong figures`: what it writes, and what it says."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest


def test_figures_carry_the_numbers_of_the_board(ask, leave_records):
    leave_records("toy-v1")
    answer = ask("figures", "toy-v1", "-o", "pictures", "--metric", "forgetting")
    assert answer.code == 0, answer.err
    files = [Path(line) for line in answer.out.splitlines()]
    assert {file.suffix for file in files} == {".svg", ".png", ".csv"}
    assert all(file.stat().st_size for file in files)
    told = json.loads(ask("board", "toy-v1", "--format", "json").out)
    board = {row["strategy"]: row["metrics"]["average_accuracy"] for row in told["tables"][0]["rows"]}
    with Path("pictures/toy-v1-toy-curves.csv").open() as file:
        last = [row for row in csv.DictReader(file) if row["experience"] == "2"]
    assert {row["strategy"] for row in last} == set(board)
    for row in last:
        assert float(row["mean"]) == board[row["strategy"]]["mean"]
        assert float(row["low"]) == board[row["strategy"]]["low"]


def test_a_strategy_can_be_chosen(ask, leave_records):
    leave_records("toy-v1")
    answer = ask("figures", "toy-v1", "--strategy", "naive", "--seeds", "1")
    assert answer.code == 0, answer.err
    curves = Path("figures/toy-v1-toy-curves.csv").read_text()
    assert "naive" in curves
    assert "replay" not in curves


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["toy-v2"], "toy-v1"),
        (["toy-v1", "--metric", "forgeting"], "forgetting"),
        (["toy-v1", "-o", "results/toy-v1/toy/naive/taken"], "choose another with -o"),
    ],
)
def test_mistakes_are_told(ask, leave_records, arguments, why):
    leave_records("toy-v1")
    Path("results/toy-v1/toy/naive/taken").write_text("")
    answer = ask("figures", *arguments)
    assert answer.code == 2
    assert why in answer.err
    assert "Traceback" not in answer.err


def test_without_records_there_is_nothing_to_draw(ask):
    answer = ask("figures", "toy-v1")
    assert answer.code == 2
    assert "nothing to draw" in answer.err
    assert not Path("figures").exists()
