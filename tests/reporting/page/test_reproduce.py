"""The command beside a run plans exactly that run."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from lifelong.boards.board import load_board
from lifelong.boards.plan import Plan, Wishes, make_plan
from lifelong.records.spec import Choice, Spec
from lifelong.records.store import Store
from lifelong.reporting.page.reproduce import command_for

BOARD = """
scenarios = ["toy"]
strategies = ["naive", "replay", "mine.py:shy"]
seeds = 2
[budget]
epochs = 3
[set.replay]
mem_size = 7
"""
MINE = """
from typing import Literal
from lifelong import strategy

@strategy()
def shy(setup, share: float = 0.1, mode: Literal["a b", "c"] = "c", sizes: list[int] | None = None): ...
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("ours.toml").write_text(BOARD)
    Path("mine.py").write_text(MINE)
    return tmp_path


def planned(**wishes: Any) -> Plan:
    return make_plan(load_board("ours.toml"), Wishes(**wishes), Store(Path("results"), "ours"))


def specs(plan: Plan) -> list[Spec]:
    return [cell.spec for cell in plan.cells if cell.spec is not None]


def replanned(command: str) -> set[str]:
    """The keys of the runs that a command plans; its own strategy's alone."""
    lifelong, run, board, *options = shlex.split(command)
    assert (lifelong, run, board) == ("lifelong", "run", "ours.toml")
    found: dict[str, list[str]] = {}
    for option, value in zip(options[::2], options[1::2], strict=True):
        found.setdefault(option, []).append(value)
    assert set(found) <= {"--scenario", "--strategy", "--seeds", "--set"}
    plan = planned(
        scenarios=found["--scenario"],
        strategies=found["--strategy"],
        seeds=found["--seeds"][0],
        set=found.get("--set", ()),
    )
    name = found["--strategy"][0].rpartition(":")[2]
    return {spec.key for spec in specs(plan) if spec.strategy.name == name}


@pytest.mark.parametrize(
    ("wishes", "settings"),
    [
        ({}, ""),
        ({"seeds": "5,11"}, ""),
        ({"set": ["replay.mem_size=9"]}, "replay.mem_size=9"),
        ({"set": ["shy.mode=a b", "shy.sizes=[1, 2]"]}, "'shy.mode=a b'"),
        ({"set": ["budget.epochs=4", "budget.lr=1e-05", "model.widths=[7]"]}, "budget.epochs=4"),
        ({"set": ["model.name=cnn"]}, "model.name=cnn"),
        ({"strategies": ["ewc"], "set": ["ewc.mode=online"]}, "ewc.mode=online"),
    ],
)
def test_planning_the_command_gives_exactly_the_run(folder: Path, wishes: dict[str, Any], settings: str) -> None:
    plan = planned(**wishes)
    command = command_for("ours.toml", plan, specs(plan))
    typed = [command(spec) for spec in specs(plan)]
    assert [replanned(text or "") for text in typed] == [{spec.key} for spec in specs(plan)]
    assert any(settings in (text or "") for text in typed)
    assert not any(str(folder) in (text or "") for text in typed), "a page does not tell where its author's files lie"


def test_a_run_under_other_settings_than_the_plan_has_its_own_command() -> None:
    plan, other = planned(), specs(planned(set=["replay.mem_size=50", "budget.epochs=1"]))
    command = command_for("ours.toml", plan, other)
    assert [replanned(command(spec) or "") for spec in other] == [{spec.key} for spec in other]


@pytest.mark.parametrize(
    "change",
    [
        {"name": "nobody"},
        {"version": 2},
        {"code_sha256": "0" * 64},
        {"parameters": {"mem_size": None}},
    ],
)
def test_there_is_no_command_for_what_cannot_be_asked_for(change: dict[str, Any]) -> None:
    plan = planned()
    spec = next(spec for spec in specs(plan) if spec.strategy.name == "replay")
    foreign = spec.model_copy(update={"strategy": Choice.model_validate(spec.strategy.model_dump() | change)})
    assert command_for("ours.toml", plan, [foreign])(foreign) is None


def test_the_page_tells_command_key_and_versions_of_the_chosen_run(page: Page) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.bring_to_front()  # the clipboard is the focused page's alone
    page.locator("select[name=scenario]").select_option("toy")
    page.locator("#reproduce select[data-mirrors=run]").select_option("replay")
    page.locator("#reproduce select[data-mirrors=seed]").select_option("1")
    expect(page.locator("#reproduce code").first).to_have_text(
        "lifelong run ours.toml --scenario toy --strategy replay --seeds 1"
    )
    expect(page.locator("#reproduce dd").nth(3)).to_contain_text("torch")
    page.get_by_role("button", name="Copy").click()
    expect(page.locator("#said")).to_have_text("Copied.")
    assert page.evaluate("navigator.clipboard.readText()").endswith("--seeds 1")
    page.locator("#reproduce select[data-mirrors=seed]").select_option("3")
    expect(page.locator("#reproduce .runs p")).to_have_text("There is no such run here.")


def test_failures_are_told_with_their_reasons_and_gaps_with_their_size(page: Page) -> None:
    page.locator("select[name=scenario]").select_option("toy")
    rows = [row.locator("td").all_text_contents() for row in page.locator("#failures tbody tr").all()]
    assert rows == [
        ["toy", "ewc", "4", "failed", "Oops: <b>it broke</b>"],
        ["toy", "replay", "-", "missing", "1 of 5 runs have no record"],
    ]
    page.locator("select[name=scenario]").select_option("toy-task")
    expect(page.locator("#failures li")).to_have_text(["der needs single head, which toy-task (task) does not give"])
