"""A board's page, made by the command from records on disk, and a real browser to open it in."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from lifelong.boards.board import load_board
from lifelong.boards.plan import Wishes, make_plan
from lifelong.cli import main
from lifelong.records.entries import Capacity, Event, Times
from lifelong.records.provenance import provenance
from lifelong.records.record import Record
from lifelong.records.spec import Choice, Spec
from lifelong.records.store import Store

HOSTILE = [
    "<script>window.owned = 1</script>",
    '"><img src=x onerror="window.owned = 1">',
    "</script><svg onload=window.owned=1>",
    "evil\N{RIGHT-TO-LEFT OVERRIDE}eman\N{LINE SEPARATOR}{{ 7 * 7 }}",
    "long" * 60,
]
BOARD = """
title = "Ours & <b>theirs</b>"
scenarios = ["toy", "toy-task"]
strategies = ["naive", "joint", "cumulative", "replay", "ewc", "dropin", "der"]
seeds = 5
[set.replay]
mem_size = 7
"""
LEVELS = {"naive": 0.3, "joint": 0.95, "cumulative": 0.9, "replay": 0.8, "ewc": 0.45, "dropin": 0.6}
"""How well each does, but for what differs by seed."""


def make_record(board: str, spec: Spec, **changes: Any) -> Record:
    """A record of three experiences; dropin's network grows at the second and the third."""
    level = LEVELS.get(spec.strategy.name, 0.5) - 0.01 * spec.seed
    R: list[list[float | None]] = [[0.5, 0.5, 0.5], [1.0, 0.25, 0.25], [level, 1.0, 0.25], [level, level, level]]
    if spec.strategy.name == "joint":
        R[1:3] = [[None] * 3] * 2
    grows = spec.strategy.name == "dropin"
    sizes = [100, 100, 120, 140] if grows else [100] * 4
    known = {
        "schema": 1,
        "key": spec.key,
        "board": board,
        "spec": spec.model_dump(),
        "status": "ok",
        "accuracy": R,
        "capacity": [_capacity(i, parameters) for i, parameters in enumerate(sizes)],
        "events": [_growth(i, sizes) for i in (1, 2)] if grows else [],
        "times": Times(train_s=[1.0 + level] * 3),
        "provenance": provenance("cpu"),
    }
    return Record.model_validate(known | changes)


def _capacity(i: int, parameters: int) -> Capacity:
    return Capacity(
        parameters=parameters,
        live_parameters=parameters,
        average_parameters=parameters,
        units=10,
        macs=90,
        live_macs=90,
        training_macs=1000 * i,
        steps=10 * i,
        samples=100 * i,
    )


def _growth(i: int, sizes: list[int]) -> Event:
    return Event(
        step=10 * i,
        experience=i,
        trigger="task arrives",
        layer="features.0",
        operator="grow",
        count=7,
        parameters_before=sizes[i],
        parameters_after=sizes[i + 1],
    )


@dataclass(frozen=True)
class Site:
    """A folder with a board, its records, and the page that the command made of them."""

    folder: Path
    file: Path
    board: dict[str, Any]
    """What `lifelong board --format json` says of the same records."""

    @property
    def url(self) -> str:
        return self.file.as_uri()


def lifelong(*arguments: str | Path) -> None:
    """The command, in this process and in the present folder.

    Raises:
        SystemExit: with its exit code, unless that is zero.
    """
    before, sys.argv = sys.argv, ["lifelong", *map(str, arguments)]
    try:
        main()
    except SystemExit as left:
        if left.code:
            raise
    finally:
        sys.argv = before


def make_site(folder: Path, fill: Callable[[Store, list[Spec]], None]) -> Site:
    """The page of `BOARD`, whose records are what `fill` leaves behind for the planned specifications."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        Path("ours.toml").write_text(BOARD)
        store = Store(Path("results"), "ours")
        cells = make_plan(load_board("ours.toml"), Wishes(), store).cells
        fill(store, [cell.spec for cell in cells if cell.spec is not None])
        lifelong("page", "ours.toml", "-o", "page.html")
        lifelong("board", "ours.toml", "--format", "json", "--output", "board.json")
    finally:
        os.chdir(before)
    return Site(folder, folder / "page.html", json.loads((folder / "board.json").read_text()))


def fill(store: Store, specs: list[Spec]) -> None:
    """All runs, and strangers'; but on `toy` seed 4 of `ewc` failed, and seed 3 of `replay` is missing."""
    for spec in specs:
        where = (spec.scenario.name, spec.strategy.name, spec.seed)
        if where == ("toy", "ewc", 4):
            store.write(make_record("ours", spec, status="failed", accuracy=None, error="Oops: <b>it broke</b>"))
        elif where != ("toy", "replay", 3):
            store.write(make_record("ours", spec))
        if spec.strategy.name == "naive":
            for name in HOSTILE:
                choice = Choice(name=name, parameters={"weight": "</style><b>"})
                store.write(make_record("ours", spec.model_copy(update={"strategy": choice})))


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    return make_site(tmp_path_factory.mktemp("site"), fill)


PATIENCE_MS = 120_000
"""How long a page may take to show what it should: for machines that do much else."""
expect.set_options(timeout=PATIENCE_MS)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, without a window."""
    found = next(
        (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
    )
    if found is None:
        told = "no Chromium here; on Debian: apt-get install --no-install-recommends chromium"
        pytest.fail(told) if os.environ.get("CI") else pytest.skip(told)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        browser.close()


@dataclass
class Visit:
    """A page that is open, with what its console said and what it asked for."""

    page: Page
    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def open(self, url: str) -> Page:
        self.page.goto(url)
        self.page.wait_for_selector("#reproduce code")
        return self.page


@pytest.fixture
def visit(browser: Browser) -> Iterator[Callable[..., Visit]]:
    """Open a page in a context of its own; whatever its console says against it fails the test."""
    contexts: list[BrowserContext] = []
    visits: list[Visit] = []

    def start(**options: Any) -> Visit:
        contexts.append(browser.new_context(**options))
        contexts[-1].set_default_timeout(PATIENCE_MS)
        visits.append(visit := Visit(contexts[-1].new_page()))
        against = ("error", "warning")
        visit.page.on("console", lambda said: visit.errors.append(said.text) if said.type in against else None)
        visit.page.on("pageerror", lambda error: visit.errors.append(str(error)))
        visit.page.on("request", lambda request: visit.requests.append(request.url))
        return visit

    yield start
    for context in contexts:
        context.close()
    assert [visit.errors for visit in visits] == [[] for _ in visits]


@pytest.fixture
def page(site: Site, visit: Callable[..., Visit]) -> Page:
    """The page of `site`, open."""
    return visit(viewport={"width": 1280, "height": 900}, color_scheme="light").open(site.url)
