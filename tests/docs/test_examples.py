"""The examples of the README and of the documentation, run as they stand."""

from __future__ import annotations

import json
import re
import runpy
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lifelong.cli import main
from lifelong.records.published import Published
from lifelong.records.store import Store

InHere = Callable[..., tuple[int, str, str]]

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
TEXT = "\n".join(
    page.read_text(encoding="utf-8")
    for page in PAGES
    if not {"generated", "generate"} & set(page.relative_to(ROOT).parts)
)


def shown_files() -> dict[str, str]:
    """The files that the pages show, by name; a part that goes on with one says so."""
    files: dict[str, str] = {}
    for match in re.finditer(r"```(?:python|toml)\n# (\S+\.\w+)( \(continued\))?\n(.*?)```", TEXT, flags=re.DOTALL):
        name, continued, code = match.groups()
        assert (name in files) == bool(continued), f"{name} is shown twice"
        files[name] = files.get(name, "") + code
    return files


FILES = shown_files()
COMMANDS = list(
    dict.fromkeys(
        line.removeprefix("$ lifelong ").partition(" #")[0].strip()
        for line in TEXT.splitlines()
        if line.startswith("$ lifelong ")
        if "tune" not in line  # takes hours; its own tests run it on the toy
    )
)
AFTER_A_RUN = re.compile(r"(board|compare|page) .*(question\.toml|frozen\.py)")
"""Commands that show the records of a reader's own run."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files that the pages show."""
    path = tmp_path_factory.mktemp("readme")
    for name, code in FILES.items():
        (path / name).write_text(code)
    (path / "leaderboards").symlink_to(ROOT / "leaderboards")
    return path


@pytest.fixture(scope="module")
def after_a_run(folder: Path) -> Path:
    """The same folder with the records that the runs of the pages leave, here those that are published."""
    published = Published(folder / "leaderboards" / "results" / "digits-v1.jsonl.gz", "digits-v1")
    for out in ("results", "machine-a/results", "machine-b/results"):
        for record in published.load()[0].values():
            Store(folder / out, "digits-v1").write(record)
    return folder


def lifelong(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "lifelong.cli", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=280)


@pytest.fixture
def in_here(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> InHere:
    """`lifelong ARGUMENTS` in this process: for commands that run nothing, of which each would load torch anew."""
    monkeypatch.chdir(folder)

    def done(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["lifelong", *arguments])
        with pytest.raises(SystemExit) as left:
            main()
        return (left.value.code or 0, *capsys.readouterr())

    return done


def records_in(folder: Path, board: str, strategy: str) -> list[dict[str, Any]]:
    records = [json.loads(path.read_text()) for path in folder.glob(f"{board}/*/{strategy}/*.json")]
    assert all(record["status"] == "ok" for record in records), [record["error"] for record in records]
    return records


def accuracies(folder: Path, board: str, strategy: str) -> list[float]:
    records = records_in(folder, board, strategy)
    return [sum(record["accuracy"][-1]) / len(record["accuracy"][-1]) for record in records]


@pytest.fixture
def script(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Callable[[str], str]]:
    """Runs a script in this process, and returns what it prints. Files beside it can be imported."""
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(str(folder))

    def run(name: str) -> str:
        runpy.run_path(name, run_name="__main__")
        return capsys.readouterr().out

    yield run
    for name in FILES:
        sys.modules.pop(name.removesuffix(".py"), None)


def test_the_strategy_is_a_short_file() -> None:
    assert len(FILES["mine.py"].splitlines()) < 20


@pytest.mark.slow
def test_the_strategy_and_the_scenario_run_on_the_board(folder: Path) -> None:
    done = lifelong(folder, "run", "mine.toml", "--seeds", "0", "--set", "budget.epochs=2", "--out", "mine")
    assert done.returncode == 0, done.stderr
    assert "shrink-perturb" in done.stdout
    assert "blobs" in done.stdout
    own = folder / "mine"
    assert len(accuracies(own, "mine", "shrink-perturb")) == 2
    assert min(accuracies(own, "mine", "joint")) > max(accuracies(own, "mine", "naive"))


@pytest.mark.slow
def test_the_script_runs_without_the_suite(script: Callable[[str], str]) -> None:
    printed = re.findall(r"Top1_Acc_Stream/eval_phase/test_stream/Task000 = ([\d.]+)", script("plain.py"))
    assert len(printed) == 5
    assert float(printed[-1]) > 0.5


@pytest.mark.slow
def test_the_rule_runs_in_a_plain_script_with_replay(script: Callable[[str], str]) -> None:
    printed = script("rules_in_replay.py")
    assert "confused" in printed
    assert "task-arrives" in printed


@pytest.mark.slow
def test_the_network_grows_is_pruned_and_saved_without_avalanche(folder: Path, script: Callable[[str], str]) -> None:
    assert "avalanche" not in FILES["grow.py"]
    script("grow.py")
    assert (folder / "blueprint.json").exists()


@pytest.mark.parametrize(
    "name", ["growing_rule.py", "frozen_script.py", "wine_script.py", "own_network.py", "results.py"]
)
def test_scripts_run(script: Callable[[str], str], name: str) -> None:
    script(name)


@pytest.mark.parametrize(
    "command",
    [command for command in COMMANDS if not (re.match("run|wandb|.* --rerun", command) or AFTER_A_RUN.match(command))],
)
@pytest.mark.usefixtures("after_a_run")
def test_commands_that_only_look_succeed(in_here: InHere, command: str) -> None:
    code, _, err = in_here(*shlex.split(command))
    assert code == 0, err


@pytest.mark.parametrize("command", [command for command in COMMANDS if command.startswith("run")])
def test_commands_that_run_can_be_planned(in_here: InHere, command: str) -> None:
    planned = re.sub(r"--workers \d+", "", command.replace("run", "plan", 1))
    code, out, err = in_here(*shlex.split(planned))
    assert code == 0, err
    assert "missing" in out


@pytest.fixture(scope="module")
def own_runs(folder: Path) -> Path:
    """The folder of records that the runs of the tutorials leave, made short."""
    own = ("--strategy", "rules.py:confused_growth", "--strategy", "frozen.py:frozen_features")
    for board, arguments in (
        ("question.toml", ("--set", "budget.epochs=1")),
        ("digits-v1", ("--scenario", "digits-class", *own)),
    ):
        done = lifelong(folder, "run", board, *arguments, "--seeds", "0", "--out", "own")
        assert done.returncode == 0, done.stderr
    return folder / "own"


@pytest.mark.slow
def test_the_rule_of_the_tutorial_fires_on_the_board(own_runs: Path) -> None:
    (record,) = records_in(own_runs, "digits-v1", "confused-growth")
    assert {"confused", "task-arrives"} <= {event["trigger"] for event in record["events"]}


@pytest.mark.slow
def test_the_tutorials_end_in_a_board(own_runs: Path, in_here: InHere) -> None:
    for strategy in ("frozen-features", "frozen-replay"):
        assert len(records_in(own_runs, "question", strategy)) == 3
    shown = [command for command in COMMANDS if AFTER_A_RUN.match(command)]
    assert len(shown) == 4
    for command in shown:
        shortened = ("--set", "budget.epochs=1", "--seeds", "0") if "question" in command else ()
        code, _, err = in_here(*shlex.split(command), *shortened, "--out", "own")
        assert code == 0, err
