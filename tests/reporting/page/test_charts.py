"""The charts, as a person looks at them: they follow what is chosen, and tell what is under the mouse."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from playwright.sync_api import Locator, Page, expect

from lifelong.reporting.charts.charts import CHARTS

Visit = Callable[..., Any]


def see(page: Page, section: str) -> Locator:
    """A section of the page, once its charts are drawn."""
    found = page.locator(f"#{section}")
    found.scroll_into_view_if_needed()
    expect(found.locator("figure").first.locator("svg, p")).to_have_count(1)
    return found


def numbers(figure: Locator) -> list[dict[str, str]]:
    """The rows that a chart is drawn of, as its table tells them."""
    if figure.locator("table").count() == 0:
        figure.locator("summary").click()
    figure.locator("table").wait_for()
    names = figure.locator("thead th").all_text_contents()
    return [
        dict(zip(names, row.locator("td").all_text_contents(), strict=True)) for row in figure.locator("tbody tr").all()
    ]


def test_every_chart_is_drawn_with_its_title_and_a_sentence_on_how_to_read_it(page: Page) -> None:
    page.locator("select[name=scenario]").select_option("toy")
    for section in dict.fromkeys(chart.dataset for chart in CHARTS.values()):
        chart = next(chart for chart in CHARTS.values() if chart.dataset == section)
        found = see(page, section)
        expect(found.locator("h2")).to_have_text(chart.title)
        expect(found.locator(".reading").first).to_have_text(chart.reading)
        expect(found.locator("figure svg")).to_have_count(1)
        assert found.locator(".formula").text_content()


def test_charts_wait_until_they_come_near(page: Page) -> None:
    assert page.locator("#differences svg").count() == 0
    see(page, "differences")


def test_a_seed_picked_at_one_chart_is_shown_by_all(page: Page) -> None:
    page.locator("select[name=scenario]").select_option("toy")
    page.locator("select[name=run]").select_option("ewc")
    matrix = see(page, "matrix")
    matrix.locator("select[name=seed]").select_option("2")
    expect(matrix.locator("h3")).to_have_text("toy · ewc, seed 2")
    shown = {(row["after"], row["experience"]): row["accuracy"] for row in numbers(matrix.locator("figure"))}
    assert shown["0", "1"] == "0.5"
    assert shown["2", "1"] == "0.43"
    assert len(shown) == 12
    see(page, "stream").locator("select[data-mirrors=seed]").select_option("4")
    expect(see(page, "matrix").locator("figure p")).to_have_text(
        "This run did not finish: failed. Oops: <b>it broke</b>"
    )
    expect(page.locator("#reproduce h3")).to_have_text("toy · ewc, seed 4")


def test_hovering_an_event_tells_trigger_layer_and_count(page: Page) -> None:
    page.locator("select[name=scenario]").select_option("toy")
    page.locator("select[name=run]").select_option("dropin")
    stream = see(page, "stream")
    rows = [row for row in numbers(stream.locator("figure")) if row["kind"] == "event"]
    assert [(row["step"], row["operator"]) for row in rows] == [("10", "grow"), ("20", "grow")]
    stream.locator("svg [aria-label*='task arrives']").first.hover()
    tooltip = page.locator("#vg-tooltip-element")
    for told in ("task arrives", "features.0", "7", "grow"):
        expect(tooltip).to_contain_text(told)


def test_ticked_strategies_are_the_ones_that_are_drawn(page: Page) -> None:
    page.locator("select[name=scenario]").select_option("toy")
    box = page.get_by_role("checkbox", name="ewc")
    box.set_checked(True)
    rows = [row for row in numbers(see(page, "curves").locator("figure")) if row["strategy"] == "ewc"]
    assert [(row["experience"], row["mean"], row["n"]) for row in rows if row["metric"] == "average_accuracy"] == [
        ("1", "1", "4"),
        ("2", "0.7175", "4"),
        ("3", "0.435", "4"),
    ]
    box.set_checked(False)
    assert "ewc" not in {row["strategy"] for row in numbers(see(page, "curves").locator("figure"))}


def test_the_metric_of_the_curves_and_the_cost_can_be_chosen(page: Page) -> None:
    page.locator("select[name=scenario]").select_option("toy")
    for section, name in (("curves", "forgetting"), ("costs", "costs-train_s")):
        see(page, section).locator(f"select[name={section}]").select_option(name)
        expect(see(page, section).locator("h2")).to_have_text(CHARTS[name].title)


def test_differences_are_told_from_the_chosen_baseline(page: Page) -> None:
    page.locator("select[name=scenario]").select_option("toy-task")
    differences = see(page, "differences")
    differences.locator("select[name=baseline]").select_option("joint")
    rows = {row["strategy"]: row for row in numbers(see(page, "differences").locator("figure"))}
    assert rows["replay"]["baseline"] == "joint"
    assert rows["replay"]["mean"] == "-0.15"
    assert rows["replay"]["verdict"] == "worse"
    assert "joint" not in rows


def test_only_whole_experiences_are_on_the_axis_however_wide(page: Page) -> None:
    page.locator("select[name=scenario]").select_option("toy")
    axis = see(page, "curves").locator("svg [aria-label^='X-axis']")
    assert axis.locator("text").all_text_contents() == ["1", "2", "3", "After experience"]


def test_legends_name_those_alone_that_have_something_to_show(page: Page) -> None:
    page.locator("select[name=scenario]").select_option("toy")
    expect(page.get_by_role("checkbox", name="joint")).to_be_checked()
    for section, told in (("curves", True), ("forgotten", False)):
        legend = see(page, section).locator("svg .role-legend-label").all_text_contents()
        assert "naive" in legend
        assert ("joint" in legend) is told, "who trains once has forgotten nothing"


def test_all_scenarios_stand_side_by_side(page: Page) -> None:
    curves = see(page, "curves")
    expect(curves.locator("h3")).to_have_text(["toy", "toy-task"])
    expect(curves.locator("svg")).to_have_count(2)


def test_charts_are_drawn_anew_in_the_other_theme(page: Page) -> None:
    page.locator("select[name=scenario]").select_option("toy")
    see(page, "curves")
    paper = "getComputedStyle(document.body).backgroundColor"
    ink = "getComputedStyle(document.querySelector('#curves svg text')).fill"
    light = page.evaluate(f"[{paper}, {ink}]")
    page.get_by_role("button", name="Dark").click()
    see(page, "curves")
    page.wait_for_function(f"{ink} !== '{light[1]}'")
    assert page.evaluate(paper) != light[0]
    expect(page.get_by_role("button", name="Light")).to_be_visible()


def test_the_system_decides_until_somebody_does(site: Any, visit: Visit) -> None:
    page = visit(color_scheme="dark").open(site.url)
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.emulate_media(color_scheme="light")
    expect(page.locator("html")).to_have_attribute("data-theme", "light")


def test_on_paper_all_charts_are_there_in_dark_ink(site: Any, visit: Visit) -> None:
    page = visit(color_scheme="dark").open(f"{site.url}#scenario=toy")
    page.emulate_media(media="print")
    sections = dict.fromkeys(chart.dataset for chart in CHARTS.values())
    expect(page.locator("figure svg")).to_have_count(len(sections))
    fills = page.locator("#differences svg text").evaluate_all("all => all.map(one => getComputedStyle(one).fill)")
    assert set(fills) == {"rgb(31, 35, 40)"}, "the ink of the light theme"
    expect(page.locator("#theme")).to_be_hidden()
    page.set_viewport_size({"width": 794, "height": 1123})
    assert page.evaluate("document.documentElement.scrollWidth") <= 794, "A4, and nothing cut off"
