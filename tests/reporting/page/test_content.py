"""What a page begins with."""

from __future__ import annotations

import base64
import gzip
import json
import re
from dataclasses import replace
from typing import Any

import pytest

from lifelong.contracts import Role
from lifelong.reporting.charts.selection import shown
from lifelong.reporting.page.content import BASELINES, baselines, opening, ranking
from lifelong.reporting.statistics.bootstrap import Interval
from lifelong.reporting.statistics.standings import Row, Table


def row(strategy: str, role: Role = "contestant", mean: float | None = None) -> Row:
    found = Interval(None, None, None, 0) if mean is None else Interval(mean, mean - 0.1, mean + 0.1, 5)
    ranks: dict[str, int | None] = {"forgetting": 1}
    return Row(ranks, strategy, role, n=1, planned=1, failures=0, enough=False, metrics={"forgetting": found})


RANKED = [row("all", "reference"), row("joint", "ceiling"), *(row(f"s{k}") for k in range(30)), row("naive", "floor")]


@pytest.fixture(scope="session")
def details(site: Any) -> dict[str, Any]:
    """The runs and rows of the page of `site`, as its script unpacks them."""
    found = re.search(r'id="details">([^<]+)<', site.file.read_text())
    assert found is not None
    unpacked: dict[str, Any] = json.loads(gzip.decompress(base64.b64decode(found[1])))
    return unpacked


def test_the_best_six_are_drawn_at_first_with_floor_and_ceiling() -> None:
    assert shown(RANKED) == ["joint", "s0", "s1", "s2", "s3", "s4", "s5", "naive"]


def test_exact_doubles_are_drawn_at_first_only_where_there_is_room() -> None:
    ranked = [row("replay", mean=0.1), row("twin", mean=0.1), *(row(f"s{k}", mean=0.2 + 0.1 * k) for k in range(6))]
    assert shown(ranked) == ["replay", "s0", "s1", "s2", "s3", "s4"]
    assert shown(ranked[:4]) == ["replay", "twin", "s0", "s1"]


def test_the_page_opens_where_there_are_results_and_offers_what_ranks_anywhere() -> None:
    online = replace(row("redo"), ranks={"online_accuracy": None, "forgetting": None}, n=0)
    tables = [Table("nobody ran", (online,)), Table("some ran", (row("redo"),))]
    assert opening(tables).scenario == "some ran"
    assert opening(tables[:1]).scenario == "nobody ran"
    assert ranking(tables) == ["online_accuracy", "forgetting"]


def test_who_is_there_to_be_compared_with_is_a_baseline_then_the_users_own_then_the_best() -> None:
    kinds = {one.strategy: "own" if one.strategy == "s29" else "replay" for one in RANKED}
    found = baselines(RANKED, kinds)
    assert found == ["all", "joint", "s29", "naive", *(f"s{k}" for k in range(BASELINES - 4))]


def test_each_run_tells_its_matrix_its_stream_and_where_it_comes_from(details: dict[str, Any]) -> None:
    runs = {(run["scenario"], run["strategy"], run["seed"]): run for run in details["runs"]}
    run = runs["toy", "dropin", 1]
    assert run["R"] == [[0.5, 0.5, 0.5], [1.0, 0.25, 0.25], [0.59, 1.0, 0.25], [0.59, 0.59, 0.59]]
    assert run["stream"]["kind"].count("event") == 2
    assert "torch" in details["versions"][run["versions"]]
    assert runs["toy", "joint", 0]["R"][1] == [None, None, None]
    failed = runs["toy", "ewc", 4]
    assert (failed["status"], failed["reason"], failed["R"]) == ("failed", "Oops: <b>it broke</b>", None)
    assert len({run["key"] for run in details["runs"]}) == len(details["runs"])
