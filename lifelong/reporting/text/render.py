"""The one renderer: writes a `Report` to a terminal, or as Markdown, CSV or JSON."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator
from textwrap import wrap
from typing import Any, Literal

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.measure import Measurement
from rich.padding import Padding
from rich.table import Table as Drawing
from rich.text import Text

from lifelong.records.bounds import plain
from lifelong.reporting.text.table import NONE, Block, Cell, Column, Content, Medium, Report, Row, Table

Format = Literal["md", "csv", "json"]

NARROWEST = 30
"""Columns of the terminal in which a text can still be read."""

COMFORTABLE = 60
"""Columns of the terminal that a text should have before an optional column takes any."""

NAMES = (36, 24)
"""Letters of a name up to which it stands on one line: at best, and where a table would not fit otherwise."""

INDENT = 4


def render(report: Report, form: Format) -> str:
    """Write a report in a format for files: `md` for GitHub Markdown, rounded; `csv` and `json` in full precision."""
    writers: dict[Format, Callable[[Report], str]] = {
        "md": _markdown,
        "csv": _csv,
        "json": lambda report: as_json(report.data()),
    }
    return writers[form](report)


def as_json(data: Any) -> str:
    """Write plain data for programs. Numbers that JSON does not know raise a ValueError."""
    return json.dumps(data, indent=2, default=str, allow_nan=False) + "\n"


def escape(text: str) -> str:
    """Return text that Markdown shows as it is, in a table too."""
    return re.sub(r"([\\`*_{}\[\]<>|~#&@])", r"\\\1", plain(text))


def _csv(report: Report) -> str:
    file = io.StringIO()
    writer = csv.DictWriter(file, report.fields, lineterminator="\n")
    writer.writeheader()
    writer.writerows(report.values())
    return file.getvalue()


def _markdown(report: Report) -> str:
    lines = [_in_markdown(line, "**{}**") for line in report.summary]
    lines += [""] if lines else []
    for table in report.tables:
        lines += [f"### {escape(table.title)}", ""] if table.title else []
        lines += ["```text", table.text, "```"] if isinstance(table, Block) else _table_in_markdown(table)
        lines.append("")
        lines += [line for warning in table.warnings for line in (f"**{escape(warning)}**", "")]
    for warning in report.warnings:
        lines += [_in_markdown(warning, "**{}**"), ""]
    lines += [line for note in report.notes if (line := _in_markdown(note, "- {}"))]
    return "\n".join(lines) + "\n"


def _table_in_markdown(table: Table) -> Iterator[str]:
    table = table.choose(_stands_in("markdown"))
    yield _line(_joined(column.heading) for column in table.columns)
    yield "|" + "".join(" ---: |" if column.right else " --- |" for column in table.columns)
    for row in table.rows:
        # numbers are written by us and hold nothing that Markdown would take for its own; names may hold anything
        yield _line(
            _in_markdown(cell) if column.kind != "number" else _number_in_markdown(cell)
            for cell, column in _cells(row, table)
        )


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _in_markdown(content: Content, form: str = "{}") -> str:
    """Return what is Markdown already as it is, and other text escaped and in its form."""
    if isinstance(content, Cell) and content.markdown is not None:
        return content.markdown
    return form.format(escape(_joined(_cell(content).text)))


def _number_in_markdown(cell: Cell) -> str:
    return _joined(cell.text) if cell.markdown is None else cell.markdown


def _stands_in(medium: Medium) -> Callable[[Column], bool]:
    return lambda column: column.only in (None, medium)


def _cell(content: Content) -> Cell:
    return content if isinstance(content, Cell) else Cell(content)


def _joined(text: str) -> str:
    return text.replace("\n", " ")


def show(console: Console, report: Report) -> None:
    """Print a report, each table in the widest form that fits the console."""
    for table in report.tables:
        if table.title:
            console.print(Text(plain(table.title), style="bold"))
        if isinstance(table, Block):
            console.print(Text(table.text + "\n"), soft_wrap=True)
        else:
            _show(console, table.choose(_stands_in("terminal")))
        for warning in table.warnings:
            console.print(Text(plain(warning), style="yellow"))
        if table.warnings:
            console.print()
    for lines, style in ((report.warnings, "yellow"), (report.notes, "dim"), (report.summary, "bold")):
        for cell in map(_cell, lines):
            console.print(Text(plain(cell.text), style=cell.style or style))


def _show(console: Console, table: Table) -> None:
    """Print a table whole, or without what is optional, or divided, or with broken cells, or else as paragraphs."""
    needed = table.choose(lambda column: not column.optional)
    groups = needed.divided(groups=True)
    whole = [(form, names, False) for form in (*_shortened(table), needed) for names in NAMES]
    broken = [(needed, names, True) for names in NAMES]
    for form, names, stacked in whole if groups else (*whole, *broken):
        if (drawing := _fitting(console, form, names, stacked)) is not None:
            console.print(drawing)
            return
    if parts := groups or needed.divided(groups=False):
        for part in parts:
            _show(console, part)
    else:
        _show_paragraphs(console, needed)


def _shortened(table: Table) -> Iterator[Table]:
    """Yield the table as it is, then without one optional column after the other, from the right."""
    while optional := [column for column in table.columns if column.optional]:
        yield table
        table = table.choose(lambda column, last=optional[-1]: column is not last)  # type: ignore[misc]


def _fitting(console: Console, table: Table, names: int, stacked: bool) -> Drawing | None:
    """Draw a table; None where it is wider than the console.

    Args:
        console: where it has to fit.
        table: what to draw.
        names: letters of a name on one line.
        stacked: whether cells are broken over lines where they may be.
    """
    bare = _draw(table, names, stacked, room=0)  # without its texts, of which only the headings are there
    width = Measurement.get(console, console.options.update(width=10_000), bare).maximum
    free = [place for place, column in enumerate(table.columns) if column.kind in ("text", "summary")]
    room = (console.width - width) // max(len(free), 1)
    room += min((len(table.columns[place].heading) for place in free), default=0)
    longest = max((len(_cell(row.cells[place]).text) for row in table.rows for place in free), default=0)
    least = COMFORTABLE if any(column.optional for column in table.columns) else NARROWEST
    if width > console.width or room < min(least, longest):
        return None
    return _draw(table, names, stacked, room)


def _draw(table: Table, names: int, stacked: bool, room: int) -> Drawing:
    """Draw a table, of whose texts each has so much room."""
    drawing = Drawing(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    rows = [[_text(cell, column, names, stacked, room) for cell, column in _cells(row, table)] for row in table.rows]
    for place, column in enumerate(table.columns):
        widest = max((cell_len(line) for row in rows for line in row[place].plain.split("\n")), default=0)
        drawing.add_column(
            # a heading is broken where it would make its column wider than what stands in it
            column.heading if stacked or widest < len(column.heading) else _joined(column.heading),
            justify="right" if column.right else "left",
            no_wrap=column.kind != "text",
            max_width=room if column.kind == "text" and room else None,
        )
    for row, cells in zip(table.rows, rows, strict=True):
        drawing.add_row(*cells, style=row.style)
    return drawing


def _cells(row: Row, table: Table) -> Iterator[tuple[Cell, Column]]:
    return zip(map(_cell, row.cells), table.columns, strict=True)


def _text(cell: Cell, column: Column, names: int, stacked: bool, room: int) -> Text:
    if column.kind == "name":
        return Text("\n".join(wrap(plain(cell.text), names)), style=cell.style)
    text = Text("\n".join(map(plain, cell.text.split("\n"))) if stacked else plain(_joined(cell.text)), cell.style)
    if column.kind in ("text", "summary") and not room:
        return Text()
    if column.kind == "summary":
        text.truncate(room, overflow="ellipsis")
    return text


def _show_paragraphs(console: Console, table: Table) -> None:
    """Print what a table would say, where there is no place for one: a paragraph for each row."""
    for row in table.rows:
        cells = [(Cell(plain(_joined(cell.text)), cell.style), column) for cell, column in _cells(row, table)]
        names = " · ".join(cell.text for cell, column in cells if column.kind == "name")
        beside = [(cell.text, cell.style) for cell, column in cells if column.leads and cell.text != NONE]
        lines = list(_filled(beside, console.width))
        console.print(Text.assemble(names, ": " if lines else "", *lines, style=row.style))
        facts = [
            (f"{_joined(column.heading)} {cell.text}", cell.style)
            for cell, column in cells
            if column.kind == "number" and not column.leads and cell.text not in ("", NONE)
        ]
        for line in _filled(facts, console.width - INDENT):
            console.print(Padding(line, (0, 0, 0, INDENT), expand=False))
        for cell, column in cells:
            if column.kind in ("text", "summary") and cell.text:
                console.print(Padding(Text(cell.text, cell.style), (0, 0, 0, INDENT), expand=False))
    console.print()


def _filled(facts: Iterable[tuple[str, str]], width: int) -> Iterator[Text]:
    """Put facts on lines of such a width, with commas between them."""
    line = Text()
    for fact, style in facts:
        if line and len(line) + 2 + len(fact) > width:
            yield line.append(",")
            line = Text()
        line.append(", " if line else "").append(fact, style=style or None)
    if line:
        yield line
