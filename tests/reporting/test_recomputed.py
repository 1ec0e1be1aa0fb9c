"""Rankings beside records are what the records come to, to the last digit that they tell."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from lifelong.contracts import Role
from lifelong.records.record import Record
from lifelong.reporting.statistics.scores import Contest, contests
from lifelong.reporting.statistics.standings import standings
from lifelong.reporting.text.rankings import ranking_report
from lifelong.reporting.text.render import render
from lifelong.verification.recomputed import wrong

METRICS = ("average_accuracy", "forgetting", "train_s")
ROLES: dict[str, Role] = {"naive": "floor"}


@pytest.fixture
def field(make_record: Callable[..., Record]) -> list[Contest]:
    """Two strategies with names that markdown has to escape, on two scenarios, five seeds each."""

    def matrix(level: float) -> list[list[float | None]]:
        return [[0.1, 0.1], [level, 0.1], [level / 2, level]]

    records = [
        make_record(name, seed, matrix(level + seed / 50), scenario=scenario)
        for name, level in (("naive", 0.4), ("mine|<b>*x*", 0.6))
        for scenario in ("digits-class", "digits_task")
        for seed in range(5)
    ]
    return contests(records, ROLES)


def said(folder: Path, field: list[Contest]) -> list[str]:
    return [finding.what for finding in wrong(folder, {"classic": field})]


@pytest.fixture
def page(field: list[Contest], tmp_path: Path) -> Path:
    """A page of prose, with the rankings and a table of another kind in it."""
    path = tmp_path / "classic.md"
    other = "## Claims\n\n| strategy | control |\n| --- | --- |\n| naive | 0.9 |\n\n"
    path.write_text(
        f"# Title\n\nProse | with bars.\n\n{other}" + render(ranking_report(standings(field, METRICS), METRICS), "md")
    )
    return path


@pytest.fixture
def data(field: list[Contest], tmp_path: Path) -> Path:
    path = tmp_path / "classic.json"
    path.write_text(render(ranking_report(standings(field, METRICS), METRICS), "json"))
    return path


def test_what_is_right(field: list[Contest], page: Path, data: Path) -> None:
    assert page.exists()
    assert data.exists()
    assert said(page.parent, field) == []


def test_a_cell_that_is_wrong(field: list[Contest], page: Path) -> None:
    text = page.read_text()
    line = next(line for line in text.splitlines() if line.startswith("|") and "naive (floor)" in line)
    cell = line.split("|")[3].strip()
    page.write_text(text.replace(line, line.replace(cell, "0.999 [0.998, 1.000]"), 1))
    (only,) = said(page.parent, field)
    assert only.endswith(f"naive (floor): Average accuracy ↑ is 0.999 [0.998, 1.000], by the records {cell}")


@pytest.mark.parametrize("part", ["mean", "low", "high", "n"])
def test_a_number_that_is_wrong(field: list[Contest], data: Path, part: str) -> None:
    content = json.loads(data.read_text())
    row = content["tables"][1]["rows"][0]
    row["metrics"]["forgetting"][part] += 1e-6
    data.write_text(json.dumps(content))
    (only,) = said(data.parent, field)
    assert only.startswith(f"{content['tables'][1]['scenario']} · {row['strategy']}: forgetting.{part} is ")


def test_a_row_that_the_records_do_not_give(field: list[Contest], data: Path, page: Path) -> None:
    data.write_text(data.read_text().replace('"naive"', '"nobody"'))
    page.write_text(page.read_text().replace("| naive (floor) |", "| nobody |"))
    found = said(data.parent, field)
    assert len(found) == 6, "two scenarios and all together, in both files"
    assert all(one.endswith("nobody: no such row by the records") for one in found)


def test_a_part_of_the_board_may_be_shown(field: list[Contest], data: Path) -> None:
    content = json.loads(data.read_text())
    for table in content["tables"]:
        del table["rows"][0], table["impossible"]
        table["rows"][0] |= {"rank": 7, "more": "fields"}
    content["tables"] = content["tables"][1:]
    data.write_text(json.dumps(content))
    assert said(data.parent, field) == []


def test_what_is_no_ranking_of_these_records_is_left_alone(field: list[Contest], tmp_path: Path) -> None:
    (tmp_path / "other.json").write_text('{"tables": [{"scenario": "elsewhere", "rows": []}]}')
    (tmp_path / "other.md").write_text(
        "### elsewhere\n\n| # | strategy | Forgetting ↓ |\n|---|---|---|\n| 1 | x | 2 |\n"
    )
    assert said(tmp_path, field) == []


@pytest.mark.parametrize(
    "rows",
    [
        "[3]",
        '[{"strategy": "naive"}]',
        '[{"strategy": "naive", "metrics": []}]',
        '[{"strategy": "naive", "metrics": {"forgetting": {"mean": "x"}}}]',
        '[{"strategy": "naive", "metrics": {"forgetting": {"mean": 1' + "0" * 400 + "}}}]",
        '[{"strategy": "naive", "metrics": {"forgetting": {"mean": NaN}}}]',
    ],
)
def test_rankings_of_strangers(rows: str, field: list[Contest], tmp_path: Path) -> None:
    (tmp_path / "r.json").write_text('{"tables": [{"scenario": "digits-class", "rows": ' + rows + "}]}")
    (only,) = said(tmp_path, field)
    assert only.isprintable()
