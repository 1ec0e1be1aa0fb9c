"""Where there are no records of one's own, the published ones are shown, and it is said."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lifelong.registry import board_file

Ask = Callable[..., Any]
RESULTS = board_file("three-scenarios-v1").parent / "results"
TOLD = "no records of your own in results/three-scenarios-v1: these are the ones published with lifelong"


@pytest.mark.parametrize(
    "command",
    [
        ("board", "three-scenarios-v1", "--format", "json"),
        ("compare", "naive", "joint", "--board", "three-scenarios-v1", "--format", "json"),
        ("targets", "three-scenarios-v1", "--format", "json"),
    ],
)
def test_an_empty_folder_shows_what_is_published(ask: Ask, tmp_path: Path, command: tuple[str, ...]) -> None:
    shown = ask(*command)
    assert shown.code == 0
    assert TOLD in shown.err
    assert "start with" not in shown.err
    named = ask(*command, "--from", RESULTS / "three-scenarios-v1.jsonl.gz")
    assert shown.out == named.out
    assert TOLD not in named.err
    assert list(tmp_path.iterdir()) == []


def test_targets_that_come_along_are_told(ask: Ask) -> None:
    summary = json.loads(ask("targets", "three-scenarios-v1", "--format", "json").out)["summary"]
    assert re.fullmatch(r"\d+ of \d+ reproduced.*", summary)


def test_the_page_says_whose_records_it_shows(ask: Ask, tmp_path: Path) -> None:
    chosen = ("three-scenarios-v1", "--strategy", "naive", "--scenario", "three-scenarios-class", "-o", "page.html")
    assert TOLD in ask("page", *chosen).err
    assert "published with lifelong" in (tmp_path / "page.html").read_text()
    assert ask("page", *chosen, "--from", RESULTS / "three-scenarios-v1.jsonl.gz").code == 0
    assert "published with lifelong" not in (tmp_path / "page.html").read_text()


def test_figures_are_drawn_of_what_is_published(ask: Ask, tmp_path: Path) -> None:
    chosen = (
        "three-scenarios-v1",
        "--strategy",
        "naive",
        "--scenario",
        "three-scenarios-class",
        "--metric",
        "accuracy",
    )
    answer = ask("figures", *chosen, "--seeds", "0")
    assert answer.code == 0
    assert TOLD in answer.err
    assert list((tmp_path / "figures").glob("*.csv"))


def test_own_records_come_first(ask: Ask, leave_records: Any) -> None:
    leave_records("three-scenarios-v1", ["ok"])
    shown = ask("board", "three-scenarios-v1", "--format", "json")
    assert "published" not in shown.err
    tables = json.loads(shown.out)["tables"]
    assert sum(row["n"] for table in tables if table["scenario"] != "all scenarios" for row in table["rows"]) == 1


def test_a_folder_that_is_named_is_the_one_that_is_shown(ask: Ask) -> None:
    shown = ask("board", "three-scenarios-v1", "--out", "elsewhere")
    assert shown.out == ""
    assert "start with: lifelong run three-scenarios-v1" in shown.err


def test_nothing_matches_what_is_published_either(ask: Ask) -> None:
    shown = ask("board", "three-scenarios-v1", "--set", "budget.epochs=77")
    assert "no records of three-scenarios-v1 in results under these settings" in shown.err
    assert "published" not in shown.err


@pytest.mark.parametrize("command", ["plan", "status"])
def test_what_is_to_run_is_told_by_own_records_alone(ask: Ask, command: str) -> None:
    answer = ask(command, "three-scenarios-v1")
    assert re.search(r"0 of \d+ cells done, 0 failed", answer.out)
    assert answer.err == ""


def test_own_records_that_are_not_shown_are_told_of(ask: Ask, leave_records: Any) -> None:
    leave_records("three-scenarios-v1", ["ok"], seeds="77")
    shown = ask("board", "three-scenarios-v1")
    assert "published with lifelong" in shown.err
    assert "the record in results/three-scenarios-v1 has another budget, model, scenario or seeds" in shown.err
