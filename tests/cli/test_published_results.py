"""What is published with the package says what its records come to."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from lifelong.registry import board_file

Ask = Callable[..., Any]
RESULTS = board_file("digits-v1").parent / "results"


def test_the_records_and_the_rankings_hold(ask: Ask) -> None:
    answer = ask("verify", RESULTS)
    assert answer.code == 0, answer.out
    assert "records of baselines-v1, digits-v1, mnist-v1, three-scenarios-v1" in answer.err


@pytest.mark.parametrize("board", ["digits-v1", "mnist-v1"])
def test_the_claims_are_those_that_the_board_states(ask: Ask, board: str) -> None:
    page = (RESULTS / f"{board}.md").read_text(encoding="utf-8")
    chosen = ("--board", board, "--from", RESULTS / f"{board}.jsonl.gz", "--format", "md")
    assert ask("compare", "--claims", *chosen).out.strip() in page


@pytest.mark.parametrize("board", ["baselines-v1", "three-scenarios-v1"])
def test_the_statuses_of_published_numbers_are_computed(ask: Ask, board: str) -> None:
    page = (RESULTS / f"{board}.md").read_text(encoding="utf-8")
    chosen = (board, "--from", RESULTS / f"{board}.jsonl.gz", "--format", "md")
    assert ask("targets", *chosen).out.strip() in page


def test_the_page_shows_the_ranking(ask: Ask) -> None:
    page = (RESULTS / "digits-v1.html").read_text(encoding="utf-8")
    found = re.search(r'<script type="application/json" id="content">(.*?)</script>', page, flags=re.DOTALL)
    assert found is not None
    table = ask("board", "digits-v1", "--from", RESULTS / "digits-v1.jsonl.gz", "--format", "json").out
    assert json.loads(found[1])["tables"] == json.loads(table)["tables"]
