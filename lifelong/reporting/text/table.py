"""The one model of a table: rankings, comparisons, fronts, targets and lists fill it, and `render` writes it.

Nothing here knows what is told, or where: a terminal, Markdown, CSV or JSON.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

NONE = "-"
"""What stands where there is no value."""

Medium = Literal["terminal", "markdown"]
"""Where people read. CSV and JSON are for programs, and hold values instead of text."""


@dataclass(frozen=True)
class Cell:
    """Text that is more than plain text.

    Attributes:
        text: for the terminal; "\\n" marks where it may be broken to save width.
        style: rich's, for the terminal.
        markdown: the same in Markdown, written as it is; where it is None, the text is escaped. An empty one leaves a
            note out.
    """

    text: str
    style: str = ""
    markdown: str | None = None


Content = str | Cell


@dataclass(frozen=True)
class Column:
    """What the cells of a column have in common.

    Attributes:
        heading: "\\n" marks where it may be broken to save width.
        kind: a `name` tells rows apart and is never cut; a `number` is never broken; a `text` may be broken over lines;
            a `summary` is cut where the line ends.
        right: whether it is aligned to the right.
        leads: whether it stands beside the name where there is no room for a table, and a row is a paragraph.
        optional: whether a narrow terminal may do without it.
        part: where a table that is too wide may be divided: columns of one part stay together, parts of one group too
            if that is possible. A column without a part stands in each of the tables.
        only: where it stands; everywhere by default.
    """

    heading: str
    kind: Literal["name", "number", "text", "summary"] = "number"
    right: bool = False
    leads: bool = False
    optional: bool = False
    part: tuple[str, str] | None = None
    only: Medium | None = None


@dataclass(frozen=True)
class Row:
    """The cells of a row, one for each column."""

    cells: Sequence[Content]
    style: str = ""


@dataclass(frozen=True)
class Table:
    """One table, with what has to be known of it."""

    columns: Sequence[Column]
    rows: Sequence[Row]
    title: str = ""
    warnings: Sequence[str] = ()

    def choose(self, wanted: Callable[[Column], bool]) -> Table:
        """Return the table with some of its columns, without title and warnings."""
        places = [place for place, column in enumerate(self.columns) if wanted(column)]
        rows = [replace(row, cells=[row.cells[place] for place in places]) for row in self.rows]
        return Table([self.columns[place] for place in places], rows)

    def divided(self, *, groups: bool) -> list[Table]:
        """Divide a table that is too wide: between groups of parts, or in two halves.

        Args:
            groups: whether to divide between groups only.

        Returns:
            The parts; none where it cannot be divided in this way.
        """
        parts = list(dict.fromkeys(column.part for column in self.columns if column.part))
        if groups:
            chosen = [[part for part in parts if part[0] == group] for group in dict.fromkeys(g for g, _ in parts)]
        else:
            half = (len(parts) + 1) // 2
            chosen = [parts[:half], parts[half:]]
        if len(chosen) < 2 or not all(chosen):
            return []
        return [self.choose(partial(_stays, own)) for own in chosen]


def _stays(parts: Sequence[tuple[str, str]], column: Column) -> bool:
    return column.part is None or column.part in parts


@dataclass(frozen=True)
class Block:
    """Lines of equally wide letters, such as a matrix of signs."""

    title: str
    text: str
    warnings: Sequence[str] = ()


@dataclass(frozen=True)
class Report:
    """What one question comes to, for people and for programs.

    Attributes:
        tables: for people, rounded.
        summary: the answer in a line or a few; last on a terminal, where the last lines are read first.
        warnings: what a reader has to know before the numbers are trusted.
        notes: what the columns are.
        data: makes what JSON holds, in full precision.
        fields: the columns of the CSV file.
        values: makes its rows, in full precision.
    """

    tables: Sequence[Table | Block]
    summary: Sequence[Content] = ()
    warnings: Sequence[Content] = ()
    notes: Sequence[Content] = ()
    data: Callable[[], Any] = dict
    fields: Sequence[str] = ()
    values: Callable[[], Iterable[Mapping[str, Any]]] = list


def item(text: str) -> Cell:
    """Return a note that Markdown shows as the item of a list, and that needs no escaping there."""
    return Cell(text, "dim", f"- {text}")
