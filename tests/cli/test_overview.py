"""`plan`, `status` and `board`: what the records on disk come to, told without running anything."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

Ask = Callable[..., Any]
Leave = Callable[..., list[Path]]


def cells(out: str) -> dict[str, list[str]]:
    """The rows of a plan: by scenario and strategy, the numbers that follow."""
    rows = [line.split() for line in out.splitlines() if line.startswith((" toy", " digits"))]
    return {f"{row[0]} {row[1]}": row[2:] for row in rows}


def names(line: str) -> list[str]:
    """The strategy of a ranking's row, in the terminal or in markdown."""
    return re.findall(r"^ *\|? *[\d-]+ +\|? *([a-z][a-z-]+)", line)


def test_a_plan_before_anything_ran(ask: Ask, tmp_path: Path) -> None:
    answer = ask("plan", "toy-v1")
    assert answer.code == 0
    assert cells(answer.out) == {"toy naive": ["2"], "toy joint": ["2"], "toy replay": ["2"]}
    assert "0 of 6 cells done, 0 failed, 6 missing" in answer.out
    assert list(tmp_path.iterdir()) == []


def test_floor_and_ceiling_are_always_planned(ask: Ask) -> None:
    plan = cells(ask("plan", "toy-v1", "--strategy", "ewc", "--seeds", "0,2,2,7-9").out)
    assert plan == {"toy joint": ["5"], "toy naive": ["5"], "toy ewc": ["5"]}


def test_what_is_impossible_is_skipped_with_its_reason(ask: Ask, tmp_path: Path) -> None:
    answer = ask("plan", "toy-v1", "--strategy", "der", "--scenario", "toy-task", "--scenario", "toy")
    assert answer.code == 0
    assert "toy-task der" not in cells(answer.out)
    assert cells(answer.out)["toy der"] == ["2"]
    assert "impossible: der needs single head, which toy-task (task) does not give" in answer.out
    assert "0 of 10 cells done, 0 failed, 10 missing; 2 impossible" in answer.out
    (tmp_path / "mine.py").write_text(
        "from lifelong import strategy\n@strategy(needs={'task labels'})\ndef told(setup): ...\n"
    )
    answer = ask("run", "toy-v1", "--strategy", "mine.py:told")
    assert answer.code == 2
    assert "told needs task labels, which toy (class) does not give" in answer.err


def test_records_make_cells_done_or_failed(ask: Ask, leave_records: Leave) -> None:
    leave_records("toy-v1", ["ok", "failed", "timeout", "ok", "out of memory"])
    answer = ask("plan", "toy-v1")
    assert "2 of 6 cells done, 3 failed, 1 missing" in answer.out
    status = ask("status", "toy-v1")
    assert status.code == 0
    assert "2 of 6 cells done, 3 failed, 1 missing" in status.out
    failures = [line for line in status.out.splitlines() if " · " in line]
    assert len(failures) == 3
    assert "toy · naive · seed 1: failed: it was not to be" in failures
    assert "toy · joint · seed 0: timeout: it was not to be" in failures


def test_another_setting_is_another_run(ask: Ask, leave_records: Leave) -> None:
    leave_records("toy-v1")
    assert "6 of 6 cells done" in ask("plan", "toy-v1").out
    assert "4 of 6 cells done" in ask("plan", "toy-v1", "--set", "replay.mem_size=7").out
    assert "0 of 6 cells done" in ask("plan", "toy-v1", "--set", "budget.epochs=7").out
    assert "0 of 6 cells done" in ask("plan", "toy-v1", "--set", "model.widths=[7]").out
    assert "6 of 6 cells done" in ask("plan", "toy-v1", "--set", "budget.epochs=20").out  # what it is anyway
    assert "0 of 6 cells done" in ask("plan", "toy-v1", "--out", "elsewhere").out


def test_records_that_a_board_does_not_ask_for_stay(ask: Ask, leave_records: Leave) -> None:
    paths = leave_records("toy-v1", seeds="0-2")
    answer = ask("board", "toy-v1", "--strategy", "naive", "--format", "json")
    table = json.loads(answer.out)["tables"][0]
    assert {row["strategy"]: row["n"] for row in table["rows"]} == {"naive": 2, "joint": 2}
    assert "5 records of other scenarios, settings, seeds or strategies are left out" in answer.err
    assert all(path.exists() for path in paths)


def test_two_scenarios_of_ones_own_in_one_file(ask: Ask, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "from lifelong import scenario\n"
        "@scenario(protocol='class')\n"
        "def one(context, size: int = 3): ...\n"
        "@scenario(protocol='task', name='toy-two')\n"
        "def two(context, size: int = 4): ...\n"
    )
    chosen = ("--scenario", "mine.py:one", "--scenario", "mine.py:toy-two", "--strategy", "naive")
    answer = ask("plan", "toy-v1", *chosen, "--set", "toy-two.size=5")
    assert answer.code == 0
    assert {"toy-two naive", "toy-two joint"} <= set(cells(answer.out))
    assert "0 of 8 cells done" in answer.out
    assert "one.size = 'x'" in ask("plan", "toy-v1", *chosen, "--set", "one.size=x").err


def test_the_ranking_in_every_format(ask: Ask, leave_records: Leave) -> None:
    leave_records("toy-v1", ["ok", "ok", "ok", "ok", "ok", "failed"])
    table = ask("board", "toy-v1")
    assert "0.875 [0.875, 0.875]" in table.out  # the mean of 0.75 and 1
    assert table.err == ""
    rows = list(csv.DictReader(io.StringIO(ask("board", "toy-v1", "--format", "csv").out)))
    assert {row["strategy"]: (row["n"], row["planned"], row["failures"]) for row in rows} == {
        "naive": ("2", "2", "0"),
        "joint": ("2", "2", "0"),
        "replay": ("1", "2", "1"),
    }
    assert {row["average_accuracy_mean"] for row in rows} == {"0.875"}
    markdown = ask("board", "toy-v1", "--format", "md", "--metric", "learning_accuracy").out
    assert "| naive (floor) | 1.000 [1.000, 1.000] | 2/2 | 0 |" in markdown
    assert json.loads(ask("board", "toy-v1", "--format", "json").out)["tables"][0]["scenario"] == "toy"


def test_what_is_planned_and_has_no_record_has_a_row_in_every_format(ask: Ask, leave_records: Leave) -> None:
    leave_records("toy-v1", ["ok"])  # one of six
    for form in ("table", "md"):
        rows = {
            name: line for line in ask("board", "toy-v1", "--format", form).out.splitlines() for name in names(line)
        }
        assert {name: re.findall(r"\d/\d", line) for name, line in rows.items()} == {
            "naive": ["1/2"],
            "joint": ["0/2"],
            "replay": ["0/2"],
        }
    (table,) = json.loads(ask("board", "toy-v1", "--format", "json").out)["tables"]
    found = {row["strategy"]: (row["rank"], row["n"], row["planned"]) for row in table["rows"]}
    assert found == {"naive": (1, 1, 2), "joint": (None, 0, 2), "replay": (None, 0, 2)}
    lines = list(csv.DictReader(io.StringIO(ask("board", "toy-v1", "--format", "csv").out)))
    assert {line["strategy"]: (line["rank"], line["n"], line["planned"]) for line in lines} == {
        "naive": ("1", "1", "2"),
        "joint": ("", "0", "2"),
        "replay": ("", "0", "2"),
    }


def test_what_is_impossible_is_told_in_every_format(ask: Ask, leave_records: Leave) -> None:
    leave_records("toy-v1")
    wishes = ("toy-v1", "--strategy", "der", "--scenario", "toy", "--scenario", "toy-task")
    reason = "der needs single head, which toy-task (task) does not give"
    assert f"Impossible: {reason}." in ask("board", *wishes).out
    assert f"**Impossible: {reason}.**" in ask("board", *wishes, "--format", "md").out
    tables = json.loads(ask("board", *wishes, "--format", "json").out)["tables"]
    assert {table["scenario"]: table["impossible"] for table in tables} == {"toy": [], "toy-task": [reason]}
    rows = {table["scenario"]: {row["strategy"]: row["planned"] for row in table["rows"]} for table in tables}
    assert rows == {"toy": {"joint": 2, "naive": 2, "der": 2}, "toy-task": {"joint": 2, "naive": 2}}
    lines = csv.DictReader(io.StringIO(ask("board", *wishes, "--format", "csv").out))
    assert [(line["scenario"], line["impossible"]) for line in lines if line["impossible"]] == [("toy-task", reason)]


def test_a_board_of_several_scenarios_has_a_table_of_all_first(ask: Ask, leave_records: Leave, tmp_path: Path) -> None:
    (tmp_path / "both.toml").write_text(
        'name = "both.toml"\nscenarios = ["toy", "toy-task"]\nstrategies = ["naive", "der"]\nseeds = 2\n'
    )
    leave_records("both.toml")
    tables = json.loads(ask("board", "both.toml", "--format", "json").out)["tables"]
    assert [table["scenario"] for table in tables] == ["all scenarios", "toy", "toy-task"]
    rows = {row["strategy"]: (row["rank"], row["n"], row["planned"]) for row in tables[0]["rows"]}
    assert rows == {"naive": (1, 4, 4), "joint": (1, 4, 4), "der": (None, 2, 4)}
    said = ask("board", "both.toml").out
    assert said.index("all scenarios") < said.index("Interquartile mean") < said.index("toy-task")
    assert "Who is not on every scenario has no mean and no rank here" in said


def test_a_board_published_is_the_board(ask: Ask, leave_records: Leave, tmp_path: Path) -> None:
    leave_records("toy-v1", ["ok", "ok", "ok", "ok", "ok", "failed"])
    table = ask("board", "toy-v1", "--format", "json").out
    file, page = tmp_path / "pages" / "toy-v1.jsonl.gz", tmp_path / "pages" / "toy-v1.md"
    for form, path in (("jsonl", file), ("md", page)):
        answer = ask("board", "toy-v1", "--format", form, "--output", path)
        assert (answer.code, answer.out, answer.err) == (0, "", "")
    assert page.read_text() == ask("board", "toy-v1", "--format", "md").out
    assert ask("board", "toy-v1", "--format", "jsonl").out.count("\n") == 6
    again = ask("board", "toy-v1", "--from", file, "--format", "json", "--out", "elsewhere")
    assert again.out == table
    assert again.err == ""
    learned = ask("board", "toy-v1", "--from", file, "--metric", "learning_accuracy").out
    assert "Learning accuracy" in learned
    missing = ask("board", "toy-v1", "--from", tmp_path / "none.jsonl")
    assert (missing.code, missing.out) == (2, "")
    assert "No such file" in missing.err


def test_a_board_has_the_columns_that_it_states(ask: Ask, leave_records: Leave, tmp_path: Path) -> None:
    (tmp_path / "b.toml").write_text(
        'name = "toy-v1"\nscenarios = ["toy"]\nstrategies = ["naive", "replay"]\nseeds = 2\n'
        'metrics = ["learning_accuracy", "train_s"]\n'
    )
    leave_records("toy-v1")
    (heads,) = csv.reader(io.StringIO(ask("board", "b.toml", "--format", "csv").out.splitlines()[0]))
    means = [head for head in heads if head.endswith("_mean")]
    assert means == ["learning_accuracy_mean", "train_s_mean", "interquartile_mean"]
    assert "Training MACs" in ask("board", "toy-v1", "--format", "md").out


def test_a_metric_goes_by_what_people_call_it(ask: Ask, leave_records: Leave) -> None:
    leave_records("toy-v1")
    (heads,) = csv.reader(
        io.StringIO(ask("board", "toy-v1", "--metric", "accuracy", "--format", "csv").out.split("\n")[0])
    )
    assert "average_accuracy_mean" in heads


def test_any_terminal_and_any_device_will_do(command: Any, leave_records: Leave) -> None:
    leave_records("toy-v1")
    shown = command("board", "toy-v1", PYTHONIOENCODING="latin-1")
    assert (shown.code, "Average accuracy ?" in " ".join(shown.out.split())) == (0, True)
    assert "| replay |" in command("board", "toy-v1", "--format", "md", "--output", "/dev/stdout").out


def test_a_ranking_of_nothing(ask: Ask) -> None:
    answer = ask("board", "toy-v1", "--format", "json")
    assert answer.code == 0
    assert json.loads(answer.out)["tables"] == []
    assert "start with: lifelong run toy-v1" in answer.err


def test_nothing_is_run_twice(ask: Ask, leave_records: Leave) -> None:
    before = {path: path.stat().st_mtime_ns for path in leave_records("toy-v1", ["ok"] * 5 + ["failed"])}
    answer = ask("run", "toy-v1")
    assert answer.code == 1, "one has failed, though not now"
    assert "nothing to run: 5 of 6 cells done, 1 failed, 0 missing" in answer.err
    assert "Average accuracy" in answer.out
    assert {path: path.stat().st_mtime_ns for path in before} == before
