"""The ranking, as a person uses it: sort, filter, tick, by mouse and by keyboard, and a link to what was chosen."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from lifelong.records.metrics import RUN_METRICS
from lifelong.reporting.text.numbers import write


def names(page: Page) -> list[str]:
    """The strategies of the ranking, from the top."""
    return page.locator("#table tbody bdi").all_text_contents()


def choose(page: Page, name: str, value: str) -> None:
    page.locator(f"select[name={name}]").select_option(value)


def test_the_numbers_are_those_of_the_board_command(page: Page, site) -> None:
    assert [table["scenario"] for table in site.board["tables"]] == ["all scenarios", "toy", "toy-task"]
    for table in site.board["tables"]:
        choose(page, "scenario", table["scenario"])
        assert names(page) == [row["strategy"] for row in table["rows"]]
        for shown, row in zip(page.locator("#table tbody tr").all(), table["rows"], strict=True):
            cells = shown.locator("td.metric").all_text_contents()
            found = [row["metrics"][name] for name in site.board["metrics"]]
            if row["interquartile"]:
                found.insert(1, row["interquartile"])
                quantities = ["fraction", "fraction", "fraction", "count", "count", "count", "seconds"]
            else:
                quantities = [RUN_METRICS[name].quantity for name in site.board["metrics"]]
            for cell, one, quantity in zip(cells, found, quantities, strict=True):
                assert cell.startswith("-" if one["mean"] is None else write(one["mean"], quantity))
                if one["low"] is not None and quantity == "fraction":
                    assert f"[{write(one['low'], quantity)}, {write(one['high'], quantity)}]" in cell
            assert shown.locator("td.rank").first.text_content() == str(row["rank"] or "-")
            assert shown.locator("td.count").all_text_contents() == [
                f"{row['n']} of {row['planned']}",
                str(row["failures"]),
            ]


def test_the_embedded_tables_are_those_of_the_board_command(page: Page, site) -> None:
    content = page.evaluate("JSON.parse(document.querySelector('#content').textContent)")
    assert {name: content[name] for name in site.board} == site.board


def test_a_click_sorts_by_a_column_and_another_turns_it_round(page: Page, site) -> None:
    choose(page, "scenario", "toy")
    rows = site.board["tables"][1]["rows"]
    means = {row["strategy"]: row["metrics"]["forgetting"]["mean"] for row in rows}
    with_one = [name for name in means if means[name] is not None]
    page.get_by_role("button", name="Forgetting ↓").click()
    heading = page.locator("th", has=page.locator("[data-sort=forgetting]"))
    expect(heading).to_have_attribute("aria-sort", "ascending")
    assert [means[name] for name in names(page)[: len(with_one)]] == sorted(means[name] for name in with_one)
    page.get_by_role("button", name="Forgetting ↓").click()
    expect(heading).to_have_attribute("aria-sort", "descending")
    assert [means[name] for name in names(page)[: len(with_one)]] == sorted(
        (means[name] for name in with_one), reverse=True
    )
    assert "joint" in names(page)[len(with_one) :], "who has no value stands last either way"
    page.get_by_role("button", name="Strategy").click()
    assert names(page).index("dropin") < names(page).index("ewc") < names(page).index("naive")


def test_the_best_comes_first_where_higher_is_better(page: Page) -> None:
    page.get_by_role("button", name="Average accuracy ↑").click()
    assert names(page)[:3] == ["joint", "cumulative", "replay"]


def test_without_scripts_the_rankings_stand_there_and_a_sentence_says_what_does_not(site, visit) -> None:
    page = visit(java_script_enabled=False).page
    page.goto(site.url)
    expect(page.locator("header .warning")).to_contain_text("need JavaScript, which is switched off")
    expect(page.locator("#ranking h3")).to_have_text([table["scenario"] for table in site.board["tables"]])
    for shown, table in zip(page.locator("#ranking table:not(#table)").all(), site.board["tables"], strict=True):
        for line, row in zip(shown.locator("tbody tr").all(), table["rows"], strict=True):
            rank, name, accuracy = (line.locator(":is(td, th)").nth(k).text_content() for k in range(3))
            assert (rank, name) == (str(row["rank"] or "-"), row["strategy"])
            mean = row["metrics"]["average_accuracy"]["mean"]
            assert accuracy.startswith("-" if mean is None else write(mean, "fraction"))
    for hidden in ("#curves", "#failures", "#reproduce", ".bar"):
        expect(page.locator(hidden)).to_be_hidden()
    assert page.locator("#ranking :is(img, script)").count() == 0


def test_gaps_stand_beside_the_name_too_and_nothing_where_there_are_none(page: Page) -> None:
    choose(page, "scenario", "toy")
    told = {
        row.locator("bdi").text_content(): row.locator("th").inner_text()
        for row in page.locator("#table tbody tr").all()
    }
    assert "4 of 5 runs" in told["replay"]
    assert "runs" not in told["der"]


def test_filters_by_kind_and_by_name(page: Page) -> None:
    choose(page, "kind", "replay")
    assert names(page) == ["replay", "der"]
    expect(page.locator("#count")).to_have_text(re.compile(r"2 of \d+ strategies"))
    choose(page, "kind", "own")
    assert "<script>window.owned = 1</script>" in names(page)
    choose(page, "kind", "")
    page.get_by_label("Name").fill("EW")
    assert names(page) == ["ewc"]


def test_coverage_and_failures_stand_beside_the_rank(page: Page) -> None:
    choose(page, "scenario", "toy")
    told = {
        row.locator("bdi").text_content(): row.locator("td.count").all_text_contents()
        for row in page.locator("#table tbody tr").all()
    }
    assert told["replay"] == ["4 of 5", "0"]
    assert told["ewc"] == ["4 of 5", "1"]
    assert told["der"] == ["5 of 5", "0"]


def test_the_address_tells_what_was_chosen(page: Page, site, visit) -> None:
    choose(page, "scenario", "toy")
    choose(page, "kind", "replay")
    choose(page, "baseline", "joint")
    page.get_by_role("button", name="Forgetting ↓").click()
    page.get_by_role("button", name="Dark").click()
    page.get_by_role("checkbox", name="replay").uncheck()
    again = visit(color_scheme="light").open(page.url)
    assert names(again) == names(page) == ["replay", "der"]
    expect(again.locator("select[name=scenario]")).to_have_value("toy")
    expect(again.locator("select[name=baseline]")).to_have_value("joint")
    expect(again.locator("html")).to_have_attribute("data-theme", "dark")
    expect(again.get_by_role("checkbox", name="replay")).not_to_be_checked()
    strange = visit().open(f"{site.url}#scenario=nowhere&theme=pink&sort=nothing&show=nobody&x=%3Cscript%3E")
    expect(strange.locator("select[name=scenario]")).to_have_value("all scenarios")


def test_a_table_is_sorted_and_a_strategy_ticked_by_keyboard_alone(page: Page) -> None:
    page.keyboard.press("Tab")
    expect(page.locator(":focus")).to_have_text("Skip to the ranking")
    page.keyboard.press("Enter")
    expect(page.locator(":focus")).to_have_text("Ranking")
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.locator(":focus").get_attribute("data-sort") == "strategy":
            break
    page.keyboard.press("Enter")
    expect(page.locator("[data-sort=strategy]")).to_be_focused()
    expect(page.locator("th", has=page.locator("[data-sort=strategy]"))).to_have_attribute("aria-sort", "ascending")
    box = page.get_by_role("checkbox", name="ewc")
    box.focus()
    before = box.is_checked()
    page.keyboard.press("Space")
    expect(box).to_be_checked(checked=not before)
    expect(box).to_be_focused()


@pytest.mark.parametrize("key", ["Enter"])
def test_enter_in_the_filter_leaves_the_page_where_it_is(page: Page, key: str) -> None:
    page.get_by_label("Name").fill("naive")
    page.get_by_label("Name").press(key)
    assert names(page) == ["naive"]
