"""`lifelong targets` and `lifelong baselines`: published numbers beside ours, on the results that come along."""

from __future__ import annotations

import csv
import io
import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lifelong.boards.board import load_board
from lifelong.records.published import Published, as_lines, compressed
from lifelong.registry import board_file, boards, strategies

Ask = Callable[..., Any]
FILE = board_file("digits-v1")
STRATEGIES = {"naive", "joint", "ewc", "replay"}
KNOWN = {"scenario": "digits-class", "strategy": "ewc", "value": 0.2, "tolerance": 0.05, "source": "A 2020, Table 1"}


def written(**changes: Any) -> str:
    """A target as TOML; None leaves a key out."""
    told = {key: value for key, value in (KNOWN | changes).items() if value is not None}
    return "\n[[targets]]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in told.items())


@pytest.fixture
def board(tmp_path: Path) -> Callable[..., Path]:
    """The board digits-v1 with targets, in a file of its own."""

    def write(*targets: str) -> Path:
        file = tmp_path / "digits-v1.toml"
        file.write_text(FILE.read_text(encoding="utf-8") + "".join(targets), encoding="utf-8")
        return file

    return write


TARGETS = (
    written(),
    written(strategy="replay", value=0.8, tolerance=0.01, source="B 2021, p. 3"),
    written(scenario="digits-task", metric="forgetting", value=0.2, note="their lambda is ten times ours"),
    written(strategy="joint", metric="forgetting"),
    written(scenario="digits-task", strategy="head-reset"),
)


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few of the published records, which are read sooner than all."""
    known = Published(FILE.parent / "results" / "digits-v1.jsonl.gz", "digits-v1").load()[0].values()
    file = tmp_path_factory.mktemp("published") / "digits-v1.jsonl.gz"
    file.write_bytes(compressed(as_lines(record for record in known if record.spec.strategy.name in STRATEGIES)))
    return file


@pytest.fixture
def told(ask: Ask, board: Callable[..., Path], records: Path) -> Any:
    answer = ask("targets", board(*TARGETS), "--from", records, "--format", "json")
    assert answer.code == 0, answer.err
    return json.loads(answer.out)


def means(file: Path) -> dict[tuple[str, str], float]:
    """By scenario and strategy, the mean over seeds of the last row of R."""
    found: dict[tuple[str, str], list[float]] = {}
    for record in Published(file, "digits-v1").load()[0].values():
        cell = record.spec.scenario.name, record.spec.strategy.name
        found.setdefault(cell, []).append(float(np.mean(record.accuracy[-1])))
    return {cell: float(np.mean(values)) for cell, values in found.items()}


def test_statuses_follow_from_the_records(told: Any, records: Path) -> None:
    expected = means(records)
    ewc, replay, *_ = told["targets"]
    for row in (ewc, replay):
        mean = expected[row["scenario"], row["strategy"]]
        assert row["mean"] == pytest.approx(mean)
        assert row["difference"] == pytest.approx(mean - row["value"])
        assert row["low"] < mean < row["high"]
        assert (row["n"], row["planned"]) == (5, 5)
    assert [row["status"] for row in told["targets"]] == ["reproduced", "above", "below", "not run", "not run"]
    assert told["summary"] == "1 of 3 reproduced, 1 above, 1 below; 2 not run"
    reasons = [row["reason"] for row in told["targets"]]
    assert reasons[:3] == ["", "", ""]
    assert reasons[3] == "forgetting is not defined for its runs"
    assert reasons[4].startswith("head-reset needs single head")


def test_each_row_has_the_command_that_makes_it_again(ask: Ask, told: Any, records: Path) -> None:
    for row in told["targets"][:4]:
        lifelong, run, *arguments = shlex.split(row["command"])
        assert (lifelong, run) == ("lifelong", "run")
        rerun = ask("targets", *arguments, "--from", records, "--format", "json")
        (again,) = (one for one in json.loads(rerun.out)["targets"] if one["strategy"] == row["strategy"])
        assert again == row
    assert told["targets"][4]["command"] is None


def test_the_command_says_what_was_set(ask: Ask, board: Callable[..., Path]) -> None:
    settings = ("--seeds", "0-1", "--set", "ewc.ewc_lambda=7.5", "--set", "budget.epochs=2")
    found = ask("targets", board(written()), *settings, "--format", "json")
    (row,) = json.loads(found.out)["targets"]
    assert (row["status"], row["planned"]) == ("not run", 2)
    words = shlex.split(row["command"])
    assert words[words.index("--seeds") + 1] == "0-1"
    assert {"ewc.ewc_lambda=7.5", "budget.epochs=2"} <= set(words)


def test_every_format_says_the_same(
    ask: Ask, board: Callable[..., Path], told: Any, tmp_path: Path, records: Path
) -> None:
    asked = ("targets", board(*TARGETS), "--from", records)
    rows = list(csv.DictReader(io.StringIO(ask(*asked, "--format", "csv").out)))
    assert [(row["status"], row["command"] or None) for row in rows] == [
        (row["status"], row["command"]) for row in told["targets"]
    ]
    assert [float(row["mean"]) for row in rows[:3]] == [row["mean"] for row in told["targets"][:3]]
    ask(*asked, "--format", "md", "--output", "out.md")
    page, shown = (tmp_path / "out.md").read_text(), ask(*asked).out
    for text in (page, shown):
        assert told["summary"] in text
        assert "their lambda is ten times ours" in text
        assert all(source in text for source in ("A 2020, Table 1", "B 2021, p. 3"))
    lines = [line for line in page.splitlines() if line.startswith("| digits-")]
    assert len(lines) == 5
    for line, row in zip(lines, told["targets"], strict=True):
        assert f"| {row['status']} |" in line
        assert f"`{row['command']}`" in line or row["command"] is None


def test_a_narrow_terminal_and_few_seeds(
    ask: Ask, board: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, records: Path
) -> None:
    monkeypatch.setenv("COLUMNS", "70")
    shown = ask("targets", board(*TARGETS), "--from", records, "--seeds", "0-1").out
    assert max(map(len, shown.splitlines())) <= 70
    assert "digits-class · ewc: " in shown
    assert "seeds 2/2" in shown
    assert "Some rest on fewer than 3 seeds" in shown


def test_a_part_of_the_board(ask: Ask, board: Callable[..., Path], records: Path) -> None:
    file = board(*TARGETS)
    found = ask(
        "targets", file, "--from", records, "--scenario", "digits-task", "--strategy", "ewc", "--format", "json"
    )
    (row,) = json.loads(found.out)["targets"]
    assert (row["scenario"], row["strategy"], row["status"]) == ("digits-task", "ewc", "below")
    unknown = ask("targets", file, "--strategy", "ewcc")
    assert (unknown.code, "did you mean 'ewc'" in unknown.err) == (2, True)
    nothing = ask("targets", file, "--scenario", "digits-domain")
    assert (nothing.code, nothing.out) == (2, "")
    assert "no targets for these strategies on these scenarios" in nothing.err


def test_nothing_has_been_run(ask: Ask, board: Callable[..., Path]) -> None:
    answer = ask("targets", board(*TARGETS[:2]))
    assert answer.code == 0
    assert answer.out.splitlines()[-1].strip() == "2 not run"
    assert "no records of" in answer.err


def test_a_board_without_targets(ask: Ask, records: Path) -> None:
    answer = ask("targets", "digits-v1", "--from", records)
    assert (answer.code, answer.out) == (2, "")
    assert "board digits-v1 has no targets" in answer.err


@pytest.mark.parametrize("arguments", [("--format", "jsonl"), ("--output", "targets.md")])
def test_formats_that_there_are_not(ask: Ask, board: Callable[..., Path], arguments: tuple[str, str]) -> None:
    assert ask("targets", board(written()), *arguments).code == 2


@pytest.mark.parametrize(
    ("target", "line", "told"),
    [
        ({"source": None}, 1, "a target with no source: say which table of which paper"),
        ({"source": " "}, 6, "a target with no source"),
        ({"value": None}, 1, "a target with no value"),
        ({"tolerance": None}, 1, "a target with no tolerance"),
        ({"scenario": "digits-clas"}, 1, "this board has no scenario 'digits-clas'; did you mean 'digits-class'"),
        ({"strategy": "ewcc"}, 1, "this board has no strategy 'ewcc'; did you mean 'ewc'"),
        ({"metric": "acuracy"}, 7, "no metric 'acuracy'; did you mean 'accuracy'"),
        ({"tolerance": -0.01}, 5, "tolerance: Input should be greater than or equal to 0"),
        ({"value": float("nan")}, 4, "value: Input should be a finite number"),
        ({"value": float("inf")}, 4, "value: Input should be a finite number"),
        ({"value": 98.6}, 4, "98.6 is no fraction; if average_accuracy is in per cent, divide it by 100"),
        ({"value": "0.9"}, 4, "value: Input should be a valid number"),
        ({"sauce": "A"}, 7, "no key of a target 'sauce'; did you mean 'source'"),
        ({"value": 0.3}, 1, "the same target stands above already"),
    ],
)
def test_what_a_target_must_not_be(
    ask: Ask, board: Callable[..., Path], target: dict[str, Any], line: int, told: str
) -> None:
    text = written(**target).replace("NaN", "nan").replace("Infinity", "inf")
    file = board(written(), text)
    first = file.read_text().splitlines()
    head = len(first) - list(reversed(first)).index("[[targets]]")
    answer = ask("targets", file)
    assert (answer.code, answer.out) == (2, "")
    assert f"{file}:{head + line - 1}: " in answer.err
    assert told in answer.err
    assert "Traceback" not in answer.err


def test_a_target_where_the_board_does_not_run_its_strategy(ask: Ask, tmp_path: Path) -> None:
    head = 'scenarios = ["digits-class", "digits-task"]\nstrategies = ["ewc"]\n[on]\newc = ["digits-task"]\n'
    (tmp_path / "b.toml").write_text(head + written())
    answer = ask("targets", "b.toml")
    assert answer.code == 2
    assert "the board runs ewc only on digits-task, not on digits-class" in answer.err


def test_two_sources_may_tell_of_one_cell(board: Callable[..., Path]) -> None:
    assert len(load_board(str(board(written(), written(source="B", value=0.3)))).targets) == 2


def test_a_target_of_ones_own_strategy(ask: Ask, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("def my_method(setup): ...\n")
    head = 'scenarios = ["digits-class"]\nstrategies = ["mine.py:my_method"]\nseeds = 3\n'
    (tmp_path / "b.toml").write_text(head + written(strategy="mine.py:my_method"))
    (row,) = json.loads(ask("targets", "b.toml", "--format", "json").out)["targets"]
    assert (row["strategy"], row["status"], row["planned"]) == ("my_method", "not run", 3)
    assert row["command"] == "lifelong run b.toml --scenario digits-class --strategy mine.py:my_method"


def test_the_board_is_shown_with_its_targets(ask: Ask, board: Callable[..., Path]) -> None:
    file = board(*TARGETS)
    shown = " ".join(ask("show", "board", file).out.split())
    assert "target: replay on digits-class, average_accuracy 0.8 ± 0.01 (B 2021, p. 3" in shown
    assert len(json.loads(ask("show", "board", file, "--json").out)["targets"]) == 5


def test_the_page_shows_published_numbers(ask: Ask, board: Callable[..., Path], tmp_path: Path, records: Path) -> None:
    file = board(written(source="<script>window.owned = 1</script>"))
    asked = ("--strategy", "ewc", "--scenario", "digits-class", "--seeds", "0-2", "--from", records)
    assert ask("page", file, *asked, "-o", "page.html").code == 0
    page = (tmp_path / "page.html").read_text()
    (section,) = re.findall(r'<section id="published">(.*?)</section>', page, flags=re.DOTALL)
    cells = re.findall(r"<td><bdi>(.*?)</bdi></td>", section)
    assert cells[:4] == ["digits-class", "ewc", "Average accuracy ↑", "0.200 ± 0.050"]
    (row,) = json.loads(ask("targets", file, *asked, "--format", "json").out)["targets"]
    assert cells[4] == f"{row['mean']:.3f} [{row['low']:.3f}, {row['high']:.3f}]"
    assert cells[7:] == ["reproduced", "&lt;script&gt;window.owned = 1&lt;/script&gt;"]
    assert "1 of 1 reproduced" in section


def test_what_was_told_is_no_record(ask: Ask, board: Callable[..., Path], tmp_path: Path, records: Path) -> None:
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "digits-v1.jsonl.gz").write_bytes(records.read_bytes())
    asked = ("--from", records, "--format", "json", "--output")
    assert ask("targets", board(*TARGETS), *asked, "results/targets.json").code == 0
    assert ask("compare", "ewc", "replay", "--board", "digits-v1", *asked, "results/compared.json").code == 0
    assert ask("verify", "results").code == 0


def test_baselines_have_the_statuses_of_what_is_published(ask: Ask) -> None:
    rows = {row["name"]: row for row in json.loads(ask("baselines", "--format", "json").out)}
    shown = ask("baselines").out
    assert {"naive", "joint", "cumulative", "replay", "ewc", "gem"} <= set(rows)
    assert all(name in shown for name in rows)
    counts = dict.fromkeys(rows, 0)
    for name in boards():
        for target in load_board(name).targets:
            counts[target.method] += 1
            settings = "".join(f" --set {target.method}.{setting}" for setting in target.strategy[:-1].split(" (")[1:])
            assert f"lifelong run {name} --strategy {target.method}{settings}" in rows[target.method]["commands"]
    for name, row in rows.items():
        entry = strategies.get(name)
        assert (row["avalanche"], row["summary"], row["source"]) == (entry.avalanche, entry.summary, entry.source)
        told = re.findall(r"(?:of )?(\d+) (reproduced|not run)", row["published"])
        assert sum(int(count) for count, _ in told) == counts[name], row["published"]
        if not counts[name]:
            assert (row["published"], row["commands"]) == ("no target", [f"lifelong check {name}"])
