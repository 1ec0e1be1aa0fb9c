"""`verify` and `merge`: results checked, run again, and put together."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lifelong.records.record import parse
from lifelong.records.store import Store
from lifelong.registry import board_file

Ask = Callable[..., Any]
PUBLISHED = board_file("mnist-v1").parent / "results" / "mnist-v1.jsonl.gz"


@pytest.fixture(scope="module")
def lines() -> list[str]:
    return gzip.decompress(PUBLISHED.read_bytes()).decode().splitlines()


@pytest.fixture
def results(tmp_path: Path, lines: list[str]) -> Path:
    """A folder with what was published of two strategies beside floor and ceiling, on one scenario."""
    for line in lines:
        record = parse(line)
        if record.spec.scenario.name == "mnist-task" and record.spec.strategy.name in (
            "naive",
            "joint",
            "ewc",
            "dropin",
        ):
            Store(tmp_path / "results", record.board).write(record)
    return tmp_path / "results"


def test_what_is_published_verifies(ask: Ask) -> None:
    answer = ask("verify", PUBLISHED)
    assert (answer.code, "Fails" in answer.out) == (0, False)
    assert "mnist-v1: 408 of 408 cells are done, 0 failed, 0 missing" in answer.out
    assert "408 records of mnist-v1" in answer.err
    assert "nothing fails" in answer.err


def test_what_fails_is_told_by_file(ask: Ask, results: Path) -> None:
    assert ask("verify", results).code == 0
    path = sorted(results.glob("*/*/ewc/*.json"))[0]
    path.write_text(path.read_text().replace('"seed": 0', '"seed": 5'))
    answer = ask("verify", results)
    assert answer.code == 1
    assert "Fails\n  schema\n" in answer.out
    assert f"{path}: the key is not the hash of the specification" in answer.out
    assert "mnist-v1 · mnist-task · ewc: no record of seed 0" in answer.out
    assert "2 findings fail" in answer.err


def test_rankings_beside_records_are_recomputed(ask: Ask, results: Path) -> None:
    for form in ("md", "json"):
        assert ask("board", "mnist-v1", "--format", form, "--output", results / f"mnist-v1.{form}").code == 0
    assert ask("verify", results).code == 0
    page = results / "mnist-v1.md"
    cell = next(line for line in page.read_text().splitlines() if "| ewc | 0." in line).split("|")[3].strip()
    page.write_text(page.read_text().replace(cell, "0.999 [0.998, 1.000]"))
    answer = ask("verify", results)
    assert answer.code == 1
    assert f"Average accuracy ↑ is 0.999 [0.998, 1.000], by the records {cell}" in answer.out


def test_for_programs(ask: Ask, results: Path) -> None:
    next(results.glob("*/*/dropin/*.json")).unlink()
    answer = ask("verify", results, "--json")
    found = json.loads(answer.out)
    assert (answer.code, found["records"], found["reruns"]) == (1, 11, [])
    (fails,) = (finding for finding in found["findings"] if finding["level"] == "fails")
    assert (fails["check"], fails["where"]) == ("seeds", "mnist-v1 · mnist-task · dropin")


def test_of_much_that_fails_a_person_sees_a_part(ask: Ask, results: Path) -> None:
    for number in range(30):
        (results / f"{number}.json").write_text(f'{{"{number}": 1}}')
    answer = ask("verify", results)
    assert "and 10 more; --json tells all" in answer.out
    assert "30 findings fail" in answer.err


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("verify", "none"), "no folder or file 'none'"),
        (("verify", "."), "no records in ."),
        (("merge", "none", "--out", "all"), "no folder or file 'none'"),
        (("merge", ".", "--out", "all"), "no records in ."),
        (("verify", str(PUBLISHED), "--board", "none.toml"), "no board file 'none.toml'"),
        (("verify", str(PUBLISHED), "--key", "x"), "--key 'x'"),
    ],
)
def test_usage(ask: Ask, arguments: tuple[str, ...], why: str) -> None:
    answer = ask(*arguments)
    assert (answer.code, answer.out if arguments[-2] != "--key" else "") == (2, "")
    assert why in answer.err


def test_merging(ask: Ask, results: Path, tmp_path: Path) -> None:
    answer = ask("merge", results, PUBLISHED, "--out", "all")
    assert (answer.code, answer.out) == (0, "")
    assert answer.err == "420 records read: 408 new, 12 same\n"
    path = next(results.glob("*/*/ewc/*.json"))
    content = json.loads(path.read_text())
    content["accuracy"][-1][0] = 0.0
    path.write_text(json.dumps(content))
    answer = ask("merge", results, "--out", "all")
    assert answer.code == 1
    assert f"{path}: another result of this run is there; both are kept: R differs by up to " in answer.err
    assert "12 records read: 11 same, 1 conflict" in answer.err
    (beside,) = (tmp_path / "all").rglob("*.conflict-*")
    assert json.loads(beside.read_text())["accuracy"][-1][0] == 0.0
    assert "408 of 408 cells done" in ask("status", "mnist-v1", "--out", "all").out
    answer = ask("verify", "all")
    assert answer.code == 1
    assert f"all/{beside.relative_to(tmp_path / 'all')}: another result of the same run" in answer.out


STRANGE = "<script>alert(1)</script>\x1b[2J\x07\u202e"


@pytest.fixture
def strange(ask: Ask, results: Path) -> Path:
    """Results among which are names, values and damage that would steer a terminal or a browser."""
    assert ask("verify", results).code == 0
    path = next(results.glob("*/*/ewc/*.json"))
    record = parse(path.read_text())
    strategy = record.spec.strategy.model_copy(update={"name": STRANGE, "parameters": {STRANGE: STRANGE}})
    spec = record.spec.model_copy(update={"strategy": strategy})
    named = record.model_copy(update={"spec": spec, "key": spec.key})
    told = named.provenance.model_copy(update={"cpu": STRANGE, "versions": {STRANGE: STRANGE}, "data_sha256": STRANGE})
    events = [event.model_copy(update={"layer": STRANGE, "trigger": STRANGE, "step": 10**6}) for event in record.events]
    Store(results, "mnist-v1").write(named.model_copy(update={"provenance": told, "events": events}))
    path.write_text(json.dumps({STRANGE: 1}))
    (results / f"{STRANGE.replace('/', '')}.json").write_text("{")
    return results


@pytest.mark.parametrize(
    "arguments",
    [
        ("verify", "results"),
        ("verify", "results", "--json"),
        ("merge", "results", "--out", "all"),
        ("board", "mnist-v1"),
        ("board", "mnist-v1", "--format", "md"),
        ("status", "mnist-v1"),
        ("plan", "mnist-v1"),
    ],
)
def test_nothing_of_a_strangers_steers_the_terminal(ask: Ask, strange: Path, arguments: tuple[str, ...]) -> None:
    assert strange.name == arguments[1] or arguments[0] not in ("verify", "merge")
    answer = ask(*arguments)
    assert answer.code in (0, 1)
    assert not {"\x1b", "\x07", "\u202e"} & set(answer.out + answer.err)
    if arguments[-1] == "md":
        assert "<script>" not in answer.out


@pytest.mark.slow
def test_a_strangers_results_reach_wandbs_files(ask: Ask, strange: Path) -> None:
    answer = ask("wandb", "push", strange, "--offline")
    assert answer.code in (0, 1)
    assert not {"\x1b", "\x07", "\u202e"} & set(answer.err)
    assert "12 records" in answer.err


@pytest.mark.slow
def test_runs_done_again(ask: Ask, tmp_path: Path) -> None:
    ask("run", "toy-v1", "--wandb", "off", "--out", "results")
    answer = ask("verify", "results", "--rerun", "2", "--json")
    found = json.loads(answer.out)
    assert (answer.code, [one["verdict"] for one in found["reruns"]]) == (0, ["identical"] * 2)
    assert all(one["same_place"] for one in found["reruns"])
    keys = [one["key"] for one in found["reruns"]]
    assert all(f"--key {key[:12]}" in answer.err for key in keys)
    path = next(path for path in (tmp_path / "results").rglob("*.json") if keys[0][:12] in path.name)
    content = json.loads(path.read_text())
    content["accuracy"][-1][-1] = 0.123
    path.write_text(json.dumps(content))
    answer = ask("verify", "results", "--key", keys[0])
    assert answer.code == 1
    assert "differs: R differs by up to 0." in answer.out
    assert "nothing fails" not in answer.err
    assert "1 of 1 reruns do not agree" in answer.err
