"""`list`, `show` and `--help`: complete, for people and for programs, and at once."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lifelong.registry import boards, scenarios, strategies

Ask = Callable[..., Any]
KNOWN = {"boards": boards(), "scenarios": scenarios.all(), "strategies": strategies.all()}


@pytest.mark.parametrize("kind", KNOWN)
def test_lists_name_all_there_is(ask: Ask, kind: str) -> None:
    listed = ask("list", kind)
    rows = json.loads(ask("list", kind, "--json").out)
    assert [row["name"] for row in rows] == list(KNOWN[kind])
    assert all(row["name"] in listed.out and row["summary"] for row in rows)
    assert listed.err == ""


def test_a_pattern_chooses(ask: Ask) -> None:
    rows = json.loads(ask("list", "scenarios", "toy*", "--json").out)
    assert [row["name"] for row in rows] == ["toy", "toy-domain", "toy-task"]
    nothing = ask("list", "scenarios", "x*")
    assert (nothing.code, nothing.out, nothing.err) == (0, "", "no scenarios match 'x*'\n")
    assert json.loads(ask("list", "scenarios", "x*", "--json").out) == []


@pytest.mark.parametrize("kind", KNOWN)
@pytest.mark.parametrize("columns", [80, 100])
def test_a_list_is_at_most_a_screen_and_breaks_no_name(
    ask: Ask, monkeypatch: pytest.MonkeyPatch, kind: str, columns: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    lines = ask("list", kind).out.splitlines()
    assert len(lines) <= 45
    assert max(map(len, lines)) <= columns
    words = {word.strip("*,") for line in lines for word in line.split()}
    assert set(KNOWN[kind]) <= words


@pytest.mark.parametrize("kind", ["scenarios", "strategies"])
def test_a_long_list_says_what_each_is(ask: Ask, kind: str) -> None:
    long = ask("list", kind, "--long").out
    for name, entry in KNOWN[kind].items():
        line = next(line for line in long.splitlines() if line.split()[:1] == [name] and len(line.split()) > 1)
        assert entry.summary[:40] in line
    assert {entry.family for entry in KNOWN[kind].values()} <= set(long.split())


@pytest.mark.parametrize("command", ["", "run", "board", "compare", "targets", "tune", "verify", "wandb push"])
def test_help_is_at_most_a_screen(ask: Ask, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert len(ask(*command.split(), "--help").out.splitlines()) <= 40


def test_parameters_are_told_once(ask: Ask) -> None:
    shown = ask("show", "strategy", "ewc").out
    known = json.loads(ask("show", "strategy", "ewc", "--json").out)
    assert not {"Args:", "Parameters:"} & set(shown.split())
    for parameter in known["parameters"]:
        assert shown.count(parameter["explanation"]) == 1


@pytest.mark.parametrize("kind", ["scenario", "strategy"])
def test_show_tells_all_that_a_run_depends_on(ask: Ask, kind: str) -> None:
    entries: Any = scenarios.all() if kind == "scenario" else strategies.all()
    for name, entry in entries.items():
        shown, known = ask("show", kind, name), json.loads(ask("show", kind, name, "--json").out)
        assert shown.code == 0
        assert {parameter["name"] for parameter in known["parameters"]} == set(entry.parameters)
        for parameter in known["parameters"]:
            assert parameter["type"]
            line = next(line for line in shown.out.splitlines() if line.split()[:1] == [parameter["name"]])
            assert parameter["type"] in line
            assert repr(entry.parameters[parameter["name"]].default) in line
        assert known["source"]
        needed = ("licence", "download mb", "protocol") if kind == "scenario" else ("role",)
        assert all(word in shown.out for word in needed)
        assert known["licence"] if kind == "scenario" else sorted(entry.needs) == known["needs"]


def test_show_a_board(ask: Ask) -> None:
    known = json.loads(ask("show", "board", "digits-v1", "--json").out)
    assert known["seeds"] == [0, 1, 2, 3, 4]
    assert known["budget"] == {"epochs": 10}
    assert "digits-class, digits-domain, digits-task" in ask("show", "board", "digits-v1").out


def test_show_ones_own(ask: Ask, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "from typing import Literal\n"
        "def method(setup, share: float = 0.1, mode: Literal['a', 'b'] = 'a', size: int | None = None):\n"
        "    '''What it does.\n\n    At\n    length.'''\n"
    )
    known = json.loads(ask("show", "strategy", "mine.py:method", "--json").out)
    assert known["parameters"] == [
        {"name": "share", "type": "float", "default": 0.1},
        {"name": "mode", "type": "Literal['a', 'b']", "default": "a"},
        {"name": "size", "type": "int | None", "default": None},
    ]
    shown = ask("show", "strategy", "mine.py:method").out
    assert str(tmp_path / "mine.py") in shown.replace("\n", "")
    assert "What it does.\n\nAt length." in shown  # lines of a paragraph are the console's to break


@pytest.mark.parametrize("arguments", ["--help", "run --help", "list strategies", "show scenario toy", "plan toy-v1"])
def test_looking_around_loads_nothing_heavy(arguments: str, tmp_path: Path) -> None:
    """Torch alone takes seconds; `--help` is to answer in 0.3 s and a list in 1 s."""
    program = (
        "import sys\n"
        "from lifelong.cli import main\n"
        "try:\n"
        "    main()\n"
        "finally:\n"
        "    heavy = {'avalanche', 'torch', 'scipy', 'sklearn', 'wandb'} & set(sys.modules)\n"
        "    sys.exit(f'loads {heavy}' if heavy else 0)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments.split()], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_every_verb_and_option_of_run_is_explained(ask: Ask) -> None:
    verbs = ask("--help")
    assert verbs.code == 0
    assert all(verb in verbs.out for verb in ("list", "show", "plan", "run", "status", "board", "wandb"))
    options = ask("run", "--help").out
    named = "strategy scenario seeds workers timeout set out data device wandb retry-failed limit checkpoint-every"
    assert all(f"--{name}" in options for name in named.split())


@pytest.mark.parametrize("arguments", ["list scenarios", "list strategies --json", "show scenario toy", "--help"])
def test_a_reader_that_leaves_early(executable: str, arguments: str) -> None:
    script = f"{executable} {arguments} | head -1"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True)
    assert done.returncode == 0
    assert done.stderr == ""
    gone = subprocess.run(["bash", "-c", f"{executable} {arguments} | exec true"], capture_output=True, text=True)
    assert "Traceback" not in gone.stderr
