"""`lifelong compare` on the results that are published with the package."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import ttest_rel

from lifelong.boards.board import load_board
from lifelong.measures.continual import average_accuracy, forgetting, validate
from lifelong.records.published import Published
from lifelong.records.record import Record
from lifelong.registry import board_file

Ask = Callable[..., Any]
RESULTS = board_file("digits-v1").parent / "results"
BOARD = ("--board", "digits-v1", "--from", RESULTS / "digits-v1.jsonl.gz")


@pytest.fixture(scope="module")
def published() -> list[Record]:
    return list(Published(RESULTS / "digits-v1.jsonl.gz", "digits-v1").load()[0].values())


@pytest.fixture
def compared(ask: Ask) -> Callable[..., list[dict[str, Any]]]:
    """The comparisons as data."""

    def compare(*arguments: str | Path) -> list[dict[str, Any]]:
        answer = ask("compare", *arguments, *BOARD, "--format", "json")
        assert answer.code == 0, answer.err
        return json.loads(answer.out)["comparisons"]

    return compare


def by_seed(records: list[Record], scenario: str, strategy: str, metric: Callable[..., float]) -> np.ndarray:
    found = {
        record.spec.seed: metric(validate(record.accuracy))
        for record in records
        if (record.spec.scenario.name, record.spec.strategy.name) == (scenario, strategy)
    }
    return np.array([found[seed] for seed in sorted(found)])


def test_two_strategies_are_compared_seed_by_seed(compared: Any, published: list[Record]) -> None:
    found = compared("replay", "lwf")
    assert len(found) == 2 * 4  # accuracy and forgetting, on three scenarios and on all
    for metric, function in (("average_accuracy", average_accuracy), ("forgetting", forgetting)):
        for scenario in ("digits-class", "digits-domain", "digits-task"):
            replay, lwf = (by_seed(published, scenario, name, function) for name in ("replay", "lwf"))
            (one,) = (row for row in found if (row["metric"], row["scenario"]) == (metric, scenario))
            assert one["difference"]["n"] == 5
            assert one["difference"]["mean"] == pytest.approx((replay - lwf).mean())
            assert one["difference"]["low"] <= one["difference"]["mean"] <= one["difference"]["high"]
            assert one["p"] == pytest.approx(ttest_rel(replay, lwf).pvalue)
    assert {row["verdict"] for row in found if row["scenario"] == "all scenarios"} == {"better"}


def test_less_forgetting_is_better(compared: Any) -> None:
    (one,) = (row for row in compared("naive", "replay", "--metric", "forgetting") if row["scenario"] == "digits-class")
    assert one["difference"]["low"] > 0.5
    assert (one["verdict"], one["improvement"]) == ("worse", 0.0)


def test_strategies_that_do_the_same_are_called_the_same(compared: Any) -> None:
    assert {row["verdict"] for row in compared("thaw", "naive")} == {"same"}


def test_the_matrix_holds_every_pair_corrected(ask: Ask, compared: Any) -> None:
    found = compared("--all", "--metric", "accuracy", "--scenario", "digits-task")
    names = {name for row in found for name in (row["first"], row["second"])}
    assert len(names) == 45  # two of them cannot learn tasks
    assert {frozenset((row["first"], row["second"])) for row in found} == set(map(frozenset, combinations(names, 2)))
    one = next(row for row in found if {row["first"], row["second"]} == {"scratch", "replay"})
    (alone,) = (row for row in compared("scratch", "replay", "--metric", "accuracy", "--scenario", "digits-task"))
    assert alone["p"] < one["p"] <= min(1.0, alone["p"] * len(found))
    text = ask("compare", "--all", "--metric", "accuracy", *BOARD, "--format", "md").out
    matrix = text.split("```")[-2].splitlines()
    best = next(line for line in matrix if " cumulative " in line).split()[-1]
    assert len(best) == len(matrix) - 3 == 45  # beside the fence and the numbers' two digits
    assert set(best) == set("\\+.")


def test_a_table_says_what_its_columns_are(ask: Ask) -> None:
    text = ask("compare", "ewc", "si", *BOARD).out
    assert "ewc against si: Forgetting ↓" in text
    assert "95 % bootstrap interval" in text
    assert "paired t-test" in text
    assert text.count("all scenarios") == 2
    several = ask("compare", "ewc", "si", "mas", *BOARD, "--scenario", "digits-task").out
    assert "Holm" in several
    one = ask("compare", "dropin", *BOARD, "--scenario", "digits-task", "--metric", "accuracy").out
    assert "Average accuracy ↑, dropin against" in one
    assert "self-building-skips" in one


def test_too_few_seeds_are_called_so(ask: Ask) -> None:
    chosen = ("--board", "mnist-v1", "--from", RESULTS / "mnist-v1.jsonl.gz", "--scenario", "mnist-class")
    text = ask("compare", "naive", "joint", *chosen).out
    assert "too few seeds" in text
    assert "Too few seeds to tell: five on one scenario" in text
    assert "too few seeds" not in ask("compare", "naive", "joint", *chosen[:4]).out.split("all scenarios")[-1]


def test_any_metric_can_be_compared_and_written(ask: Ask, tmp_path: Path) -> None:
    file = tmp_path / "sizes.csv"
    answer = ask("compare", "dropin", "naive", *BOARD, "--metric", "parameters", "--format", "csv", "--output", file)
    assert (answer.code, answer.out) == (0, "")
    rows = list(csv.DictReader(io.StringIO(file.read_text())))
    assert {row["metric"] for row in rows} == {"final_parameters"}
    assert all(float(row["low"]) > 10_000 and row["verdict"] == "worse" for row in rows)


def test_the_pareto_front_names_who_is_dominated(ask: Ask) -> None:
    arguments = ("compare", "--pareto", "accuracy,parameters", *BOARD)
    fronts = json.loads(ask(*arguments, "--format", "json").out)
    assert list(fronts) == ["all scenarios", "digits-class", "digits-domain", "digits-task"]
    for points in fronts.values():
        for point in points:
            dominators = [
                other["strategy"]
                for other in points
                if other["role"] not in ("ceiling", "reference")
                and other["average_accuracy"] >= point["average_accuracy"]
                and other["final_parameters"] <= point["final_parameters"]
                and (other["average_accuracy"], other["final_parameters"])
                != (point["average_accuracy"], point["final_parameters"])
            ]
            assert point["dominated_by"] == dominators
    ahead = [point["strategy"] for point in fronts["digits-domain"] if point["front"]]
    assert not {"joint", "cumulative"} & set(ahead)
    table = ask(*arguments, "--scenario", "digits-domain").out.splitlines()
    assert [line.split()[0] for line in table[4 : 4 + len(ahead)]] == sorted(
        ahead,
        key=lambda name: next(p["final_parameters"] for p in fronts["digits-domain"] if p["strategy"] == name),
    )
    assert "(ceiling)" in next(line for line in table if line.split()[:1] == ["joint"])
    rows = list(csv.DictReader(io.StringIO(ask(*arguments, "--format", "csv").out)))
    assert len(rows) == sum(map(len, fronts.values()))
    assert "| joint |" in ask(*arguments, "replay", "joint", "--format", "md").out


def test_what_is_left_out_is_told(ask: Ask) -> None:
    answer = ask("compare", "--all", *BOARD, "--scenario", "digits-class", "--metric", "forgetting")
    assert "digits-class, forgetting: no value for a shared seed: joint" in answer.err
    assert " joint" not in answer.out
    answer = ask("compare", "--pareto", "forgetting,parameters", *BOARD, "--scenario", "digits-class")
    assert "digits-class: left out, not having all of these metrics: joint" in answer.err
    assert "nobody has all of these metrics" in ask("compare", "--pareto", "detection_delay,time", *BOARD).err


def test_failures_and_what_has_not_run_are_told(ask: Ask, leave_records: Any) -> None:
    leave_records("toy-v1", ["failed", "ok", "failed", "failed", "ok"])  # naive, joint, replay, two seeds of each
    answer = ask("compare", "naive", "joint", "--board", "toy-v1", "--metric", "accuracy")
    assert "toy: naive failed on seed 0: no pairs of these" in answer.err
    failed = ask("compare", "naive", "joint", "--board", "toy-v1", "--seeds", "0")
    assert "nothing to compare" in failed.err
    assert "naive failed on seed 0" in failed.err
    assert "not run yet: replay" in ask("compare", "naive", "replay", "--board", "toy-v1", "--seeds", "1").err


def test_a_front_of_few_seeds_says_so(ask: Ask) -> None:
    arguments = ("compare", "--pareto", "accuracy,parameters", *BOARD, "--scenario", "digits-class")
    assert "few seeds" not in ask(*arguments).out
    one = ask(*arguments, "--seeds", "0")
    assert "This rests on few seeds" in one.out
    assert "1/1" in next(line for line in one.out.splitlines() if " replay " in line)


def test_a_matrix_holds_everyone_of_its_scenario(ask: Ask, leave_records: Any, tmp_path: Path) -> None:
    """On the first scenario nobody has an accuracy, and the ceiling is impossible."""
    board = tmp_path / "mine.toml"
    scenarios = '["slowly-changing-regression", "toy"]'
    board.write_text(f'scenarios = {scenarios}\nstrategies = ["naive", "joint", "replay"]\nseeds = 1\n')
    paths = leave_records(str(board), ["failed", "failed", "ok", "ok", "ok"])
    assert {path.parent.parent.name for path in paths[:2]} == {"slowly-changing-regression"}
    answer = ask("compare", "--all", "--board", board, "--metric", "accuracy")
    matrix = answer.out.split("row against column")[1].splitlines()
    assert sorted(line.split()[1] for line in matrix[2:5]) == ["joint", "naive", "replay"]
    assert "slowly-changing-regression, average accuracy: no two have a value" in answer.err


def test_a_file_means_the_strategy_as_it_is_now(ask: Ask, leave_records: Any, tmp_path: Path) -> None:
    file, board = tmp_path / "own.py", tmp_path / "mine.toml"
    board.write_text('scenarios = ["toy"]\nstrategies = ["naive", "own.py:plain"]\nseeds = 1\n')
    code = "from lifelong import strategy\n@strategy(source='our own')\ndef plain(setup):\n    return setup.naive()\n"
    for content in (code, code + "# changed\n"):
        file.write_text(content)
        leave_records(str(board))
    told = ("--board", board, "--metric", "accuracy", "--format", "json")
    assert "stands on the board several times" in ask("compare", "naive", "plain", *told).err
    (one,) = json.loads(ask("compare", "naive", "own.py:plain", *told).out)["comparisons"]
    assert one["second"].startswith(f"plain (code_sha256={hashlib.sha256(file.read_bytes()).hexdigest()[:12]}")


@pytest.mark.parametrize("columns", ["40", "60"])
def test_narrow_terminals_keep_every_word(ask: Ask, monkeypatch: pytest.MonkeyPatch, columns: str) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    told = ask("compare", "ewc", "si", *BOARD, "--metric", "accuracy").out
    assert "…" not in told
    assert {"digits-class", "digits-domain", "digits-task", "all scenarios"} <= set(told.splitlines())


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("compare",), "which board? name it, as --board digits-v1"),
        (("compare", "--board", "digits-v1"), "whom to compare? name strategies"),
        (("compare", "ewcc", "si", *BOARD), "no strategy among the records 'ewcc'; did you mean 'ewc'?"),
        (("compare", "ewc", "si", "--board", "digit-v1"), "did you mean 'digits-v1'"),
        (("compare", "ewc", "ewc", *BOARD), "'ewc' stands twice"),
        (("compare", "ewc", "--all", *BOARD), "--all chooses by itself whom to compare"),
        (("compare", "--claims", "--pareto", "accuracy,parameters", *BOARD), "--claims and --pareto: one at a time"),
        (("compare", "--pareto", "accuracy,time", "--metric", "macs", *BOARD), "leave out --metric"),
        (("compare", "--pareto", "accuracy,average_accuracy", *BOARD), "name two metrics or more"),
        (("compare", "matched-final", "ewc", *BOARD), "write 'matched-final (of=dropin)' or 'matched-final"),
        (("compare", "ewc", "si", "--metric", "forgeting", *BOARD), "did you mean 'forgetting'"),
        (("compare", "--pareto", "accuracy", *BOARD), "name two metrics or more"),
        (("compare", "--pareto", "accuracy,size", *BOARD), "no metric 'size'"),
        (("compare", "ewc", "si", *BOARD, "--format", "jsonl"), "choose table, md, csv or json"),
        (("compare", "ewc", "si", *BOARD, "--output", "x"), "a table is for the terminal"),
        (("compare", "ewc", "si", "--board", "digits-v1", "--out", "nowhere"), "nothing to compare"),
        (("compare", "joint", "replay", *BOARD, "--metric", "forgetting"), "nothing to compare: no two of them"),
    ],
)
def test_what_cannot_be_compared_is_told(ask: Ask, arguments: Any, told: str) -> None:
    answer = ask(*arguments)
    assert (answer.code, answer.out) == (2, "")
    assert told in answer.err


def test_what_a_board_claims_is_compared_with_its_controls(ask: Ask, compared: Any) -> None:
    found = compared("--claims", "--metric", "accuracy")
    claims = load_board("digits-v1").claims
    pairs = list(dict.fromkeys((row["first"], row["second"]) for row in found))
    assert pairs == [(strategy, control) for strategy, control, _ in claims]
    one = next(row for row in found if (row["first"], row["scenario"]) == ("merge-similar", "digits-task"))
    (alone,) = (r for r in compared("merge-similar", "naive", "--metric", "accuracy", "--scenario", "digits-task"))
    assert one["difference"] == alone["difference"]
    assert one["p"] > alone["p"]
    markdown = ask("compare", "--claims", *BOARD, "--format", "md").out
    line = next(line for line in markdown.splitlines() if line.startswith("| merge-similar | naive |"))
    low, high = alone["difference"]["low"], alone["difference"]["high"]
    assert f"[{low:.3f}, {high:.3f}]" in line
    assert "| thaw | naive | frozen units are redrawn | 0 | 0 | 0 | 0 |" in markdown
    assert "frozen units are redrawn" in ask("compare", "--claims", *BOARD).out


def test_a_claim_needs_records_of_both_sides(ask: Ask, tmp_path: Path) -> None:
    board = tmp_path / "digits-v1.toml"
    content = 'scenarios = ["digits-task"]\nstrategies = ["naive", "ewc", "lwf"]\nseeds = 5\n[budget]\nepochs = 10\n'
    board.write_text(
        'claims = [["ewc", "lwf (alpha=77)", "nobody knows"], ["lwf", "naive", "distillation"]]\n' + content
    )
    chosen = ("compare", "--board", board, "--from", RESULTS / "digits-v1.jsonl.gz")
    answer = ask(*chosen, "--claims", "--format", "json")
    assert "no records to tell 'ewc' from 'lwf (alpha=77)' by" in answer.err
    assert {(row["first"], row["second"]) for row in json.loads(answer.out)["comparisons"]} == {("lwf", "naive")}
    board.write_text('claims = [["ewc", "lwff", "nobody knows"]]\n' + content)
    answer = ask(*chosen, "--claims")
    assert (answer.code, answer.out) == (2, "")
    assert f"{board}:1: claims: a claim about 'lwff', which the board's strategies do not name" in answer.err
    board.write_text(content)
    assert "states no claims" in ask(*chosen, "--claims").err
