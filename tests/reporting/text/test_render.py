"""The one renderer: what becomes of a table on terminals of any width, in Markdown, CSV and JSON."""

from __future__ import annotations

import io
import json

import pytest
from rich.console import Console

from lifelong.reporting.text.render import render, show
from lifelong.reporting.text.table import Block, Cell, Column, Report, Row, Table, item

COLUMNS = [
    Column("strategy", "name"),
    Column("Average\naccuracy", right=True, part=("results", "accuracy")),
    Column("Training\ntime", right=True, part=("costs", "time")),
    Column("why", "text"),
]
ROWS = [Row(["ewc", "0.912\n[0.905, 0.919]", "3.1 s", "it holds weights"]), Row(["si_2", "-", "-", ""], "dim")]
REPORT = Report(
    [Table(COLUMNS, ROWS, "digits_class", ["few seeds"])],
    summary=["1 of 2"],
    warnings=["careful_now"],
    notes=["a_note", item("p < 0.05"), Cell("source 1: a paper", markdown="")],
    data=lambda: {"rows": 2},
    fields=["name", "value"],
    values=lambda: [{"name": "ewc", "value": 0.9123456789}, {"name": "si"}],
)


def printed(report: Report, width: int) -> str:
    console = Console(width=width, file=io.StringIO())
    show(console, report)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_wide_terminal_has_a_line_for_each_row() -> None:
    lines = printed(REPORT, 120).splitlines()
    assert lines[0] == "digits_class"
    line = next(line for line in lines if "ewc" in line)
    assert line.split() == ["ewc", "0.912", "[0.905,", "0.919]", "3.1", "s", "it", "holds", "weights"]
    assert [line for line in lines if line][-6:] == [
        *("few seeds", "careful_now", "a_note", "p < 0.05", "source 1: a paper", "1 of 2")
    ]


def headings(table: Table) -> list[str]:
    return [column.heading for column in table.columns]


@pytest.mark.parametrize("width", [20, 30, 40, 50, 60, 80])
def test_no_width_loses_a_word(width: int) -> None:
    text = printed(REPORT, width)
    assert max(map(len, text.splitlines())) <= width
    words = " ".join(text.split())
    for word in ("ewc", "si_2", "0.912", "[0.905, 0.919]", "3.1 s", "weights", "few seeds", "1 of 2"):
        assert word in words


def test_a_table_that_is_too_wide_is_divided_between_groups() -> None:
    table = Table([Column(name, part=(name[0], name), right=True) for name in ("a1", "a2", "b1")], [])
    assert [[column.heading for column in part.columns] for part in table.divided(groups=True)] == [
        ["a1", "a2"],
        ["b1"],
    ]
    halves = table.choose(lambda column: column.heading != "b1").divided(groups=False)
    assert [[column.heading for column in half.columns] for half in halves] == [["a1"], ["a2"]]
    assert halves[0].divided(groups=False) == []


def test_what_is_optional_goes_first() -> None:
    columns = [Column("name", "name"), Column("needs", optional=True), Column("what it is", "summary")]
    report = Report([Table(columns, [Row(["ewc", "task boundaries", "word " * 14])])])
    assert "task boundaries" in printed(report, 160)
    narrow = printed(report, 60)
    assert "task boundaries" not in narrow
    (line,) = (line.rstrip() for line in narrow.splitlines() if "ewc" in line)
    assert line.endswith("…")


def test_a_paragraph_says_what_a_row_would() -> None:
    columns = [Column("scenario", "name"), Column("strategy", "name"), Column("status", leads=True), Column("seeds")]
    report = Report([Table(columns, [Row(["digits-class", "ewc", Cell("below", "yellow"), "3/3"])])])
    assert printed(report, 25).splitlines()[:2] == ["digits-class · ewc: below", "    seeds 3/3"]


def test_markdown_escapes_names_and_keeps_numbers() -> None:
    assert render(REPORT, "md").splitlines() == [
        "**1 of 2**",
        "",
        r"### digits\_class",
        "",
        "| strategy | Average accuracy | Training time | why |",
        "| --- | ---: | ---: | --- |",
        "| ewc | 0.912 [0.905, 0.919] | 3.1 s | it holds weights |",
        r"| si\_2 | - | - |  |",
        "",
        "**few seeds**",
        "",
        r"**careful\_now**",
        "",
        r"- a\_note",
        "- p < 0.05",
    ]


def test_columns_may_stand_in_one_medium_only() -> None:
    columns = [Column("name", "name"), Column("here", only="terminal"), Column("there", only="markdown")]
    report = Report([Table(columns, [Row(["ewc", "yes", "no"])])])
    assert "here" in printed(report, 80)
    assert "there" not in printed(report, 80)
    assert render(report, "md").startswith("| name | there |")


def test_a_block_keeps_its_letters_in_place() -> None:
    report = Report([Block("who against whom", "1 ewc +\n2 si  -")])
    assert "1 ewc +\n2 si  -\n" in printed(report, 5)
    assert render(report, "md") == "### who against whom\n\n```text\n1 ewc +\n2 si  -\n```\n\n"


def test_programs_get_full_precision() -> None:
    assert render(REPORT, "csv") == "name,value\newc,0.9123456789\nsi,\n"
    assert json.loads(render(REPORT, "json")) == {"rows": 2}
