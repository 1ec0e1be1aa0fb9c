"""What strangers' records can do to a page, which is nothing: no script of theirs runs, and no request leaves."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from lifelong.reporting.charts.charts import CHARTS
from lifelong.reporting.page.details import columns

Visit = Callable[..., Any]
HOSTILE = [
    "<script>window.owned = 1</script>",
    '"><img src=x onerror="window.owned = 1">',
    "</script><svg onload=window.owned=1>",
    "evil\N{RIGHT-TO-LEFT OVERRIDE}eman\N{LINE SEPARATOR}{{ 7 * 7 }}",
    "long" * 60,
]
"""Names of strategies on the board of `site`."""


def draw_everything(page: Page) -> None:
    for section in dict.fromkeys(chart.dataset for chart in CHARTS.values()):
        page.locator(f"#{section}").scroll_into_view_if_needed()
        expect(page.locator(f"#{section} figure").first.locator("svg, p")).to_have_count(1)


def test_the_page_asks_no_host_for_anything(site: Any, visit: Visit) -> None:
    visited = visit()
    draw_everything(visited.open(site.url))
    assert visited.requests == [site.url]


def test_hostile_names_are_text(page: Page) -> None:
    shown = page.locator("#table tbody bdi").all_text_contents()
    assert set(HOSTILE) <= set(shown)
    for name in HOSTILE:
        page.locator("#table tbody input").nth(shown.index(name)).set_checked(True)
        page.locator("select[name=run]").select_option(name)
        assert page.locator("#reproduce h3 bdi").first.text_content() == f"toy · {name}, seed 0"
    draw_everything(page)
    assert page.evaluate("window.owned") is None
    assert page.locator("main img, main script").count() == 0
    expect(page.locator("h1")).to_have_text("Ours & <b>theirs</b>")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_the_policy_stops_what_should_get_in_all_the_same(site: Any, tmp_path: Path, visit: Visit) -> None:
    html = site.file.read_text()
    assert html.count("<main>") == 1
    broken = tmp_path / "broken.html"
    broken.write_text(
        html.replace("<main>", '<main><script>window.owned = 1</script><img src="https://example.org/x">')
    )
    visited = visit()
    blocked: list[tuple[str, str | None]] = []
    visited.page.on("requestfailed", lambda request: blocked.append((request.url, request.failure)))
    page = visited.open(broken.as_uri())
    assert page.evaluate("window.owned") is None
    assert blocked == [("https://example.org/x", "csp")]
    assert len(visited.errors) == 2
    assert all("Content Security Policy" in error for error in visited.errors)
    visited.errors.clear()


@pytest.mark.parametrize("width", [320, 375])
def test_a_phone_scrolls_the_table_and_not_the_page(site: Any, visit: Visit, width: int) -> None:
    page = visit(viewport={"width": width, "height": 700}, has_touch=True, is_mobile=True).open(site.url)
    draw_everything(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    box = page.locator("#ranking .scroll")
    assert box.evaluate("box => box.scrollWidth > box.clientWidth")
    box.evaluate("box => { box.scrollLeft = 300 }")
    left = page.locator("#table tbody th").first.evaluate("cell => cell.getBoundingClientRect().left")
    assert left == pytest.approx(box.evaluate("box => box.getBoundingClientRect().left"), abs=1)


def test_rows_as_columns_keep_what_is_not_there() -> None:
    assert columns([{"a": 1, "b": "x"}, {"a": 0.123456789, "c": None}]) == {
        "a": [1, 0.123457],
        "b": ["x", None],
        "c": [None, None],
    }
    assert columns([]) == {}
