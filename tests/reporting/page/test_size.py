"""A page of many runs is small enough to send."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from lifelong.cli import main
from lifelong.records.published import Published, as_lines
from lifelong.records.record import Record


def with_seed(record: Record, seed: int) -> Record:
    spec = record.spec.model_copy(update={"seed": seed})
    return record.model_copy(update={"spec": spec, "key": spec.key})


@pytest.mark.slow
def test_two_thousand_runs_take_less_than_six_megabytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, visit: Callable[..., Any]
) -> None:
    published = Path(str(files("lifelong.leaderboards"))) / "results/digits-v1.jsonl.gz"
    records = Published(published, "digits-v1").load()[0].values()
    many = [with_seed(record, record.spec.seed + 5 * k) for k in range(3) for record in records]
    assert len(many) > 2_000
    (tmp_path / "many.jsonl").write_text(as_lines(many))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["lifelong", "page", "digits-v1", "--from", "many.jsonl", "--seeds", "0-14"])
    with pytest.raises(SystemExit) as left:
        main()
    assert not left.value.code
    file = tmp_path / "digits-v1.html"
    assert file.stat().st_size < 6e6
    page = visit().open(file.as_uri())
    expect(page.locator(".facts")).to_contain_text(f"{len(many):,} runs")
    page.locator("select[name=seed]").select_option("14")
    expect(page.locator("#reproduce code").first).to_contain_text("--seeds 14")
