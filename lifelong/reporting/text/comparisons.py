"""Comparisons as text: a table of pairs, a matrix of many; for the terminal, markdown, CSV and JSON."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table as Drawing
from rich.text import Text

from lifelong.records.bounds import plain
from lifelong.records.metrics import RUN_METRICS, Quantity
from lifelong.reporting.statistics.bootstrap import Interval
from lifelong.reporting.statistics.comparison import Comparison, Verdict
from lifelong.reporting.text.numbers import write
from lifelong.reporting.text.rankings import Format
from lifelong.reporting.text.words import NONE, escape, grouped, heading

Order = Mapping[tuple[str, str], Sequence[str]]
"""By metric and scenario, the labels in the order of a matrix."""
HEADINGS = ("first - second", "better\nin", "effect", "p", "pairs", "verdict")
SIGNS: Mapping[Verdict, str] = {"better": "+", "worse": "-", "same": "=", "cannot tell": ".", "too few seeds": "?"}
LEGEND = "; ".join(f"{sign} {verdict}" for verdict, sign in SIGNS.items()) + "; a blank: no values of equal seed"
STYLES: Mapping[Verdict, str] = {
    "better": "green",
    "worse": "red",
    "same": "dim",
    "cannot tell": "",
    "too few seeds": "",
}
NARROWEST = 8
"""Columns of a console in which a name can still be read."""
TOO_FEW = "Too few seeds to tell: five on one scenario, or three on each of two, are the least."
HOW = (
    "The verdict is on the first. first - second: mean over pairs of equal seed, and its 95 % bootstrap interval. "
    "better in: share of the pairs in which the first is better. effect: the difference in its standard deviations "
    "(Hedges' g). same: equal in every pair. p: paired t-test"
)


@dataclass(frozen=True)
class _Group:
    """What stands in one table: a pair on every scenario, or pairs on one."""

    title: str
    names: tuple[str, ...]
    """The headings of the columns that tell the rows apart."""
    rows: tuple[tuple[tuple[str, ...], Comparison], ...]


def _groups(comparisons: Sequence[Comparison]) -> list[_Group]:
    pairs = {(one.first, one.second) for one in comparisons}
    if len(pairs) == 1:
        first, second = pairs.pop()
        return [
            _Group(
                f"{first} against {second}: {heading(metric)}", ("scenario",), tuple(((o.scenario,), o) for o in found)
            )
            for metric, found in grouped(comparisons, lambda one: one.metric).items()
        ]
    groups = []
    for (metric, scenario), found in grouped(comparisons, _table).items():
        title = f"{scenario}: {heading(metric)}"
        if len({one.first for one in found}) == 1:
            title += f", {found[0].first} against"
            groups.append(_Group(title, ("second",), tuple(((one.second,), one) for one in found)))
        else:
            groups.append(_Group(title, ("first", "second"), tuple(((o.first, o.second), o) for o in found)))
    return groups


def _table(one: Comparison) -> tuple[str, str]:
    return one.metric, one.scenario


def print_comparisons(console: Console, comparisons: Sequence[Comparison], corrected: bool) -> None:
    """Print pairs of strategies, a table for each metric (and scenario), with what the columns mean."""
    for group in _groups(comparisons):
        console.print(Text(plain(group.title), style="bold"))
        if _fits(console, drawing := _draw(group, " ")):
            console.print(drawing)
        elif _fits(console, _draw(group, "\n", names=NARROWEST)):
            console.print(_draw(group, "\n"))
        else:
            _print_paragraphs(console, group)
    if any(one.verdict == "too few seeds" for one in comparisons):
        console.print(Text(TOO_FEW, style="yellow"))
    console.print(Text(_how(corrected), style="dim"))


def _fits(console: Console, drawing: Drawing) -> bool:
    return Measurement.get(console, console.options.update(width=10_000), drawing).maximum <= console.width


def _print_paragraphs(console: Console, group: _Group) -> None:
    """What a table would say, where there is no place for one."""
    for names, one in group.rows:
        difference, *cells, verdict = _cells(one)
        facts = zip((name.replace("\n", " ") for name in HEADINGS[1:]), cells, strict=False)
        console.print(Text(plain(" - ".join(names))))
        console.print(Text(f"    {difference}: ").append(verdict, style=STYLES[one.verdict]))
        console.print(Text("    " + ", ".join(f"{name} {cell}" for name, cell in facts)))
    console.print()


def _draw(group: _Group, separator: str, names: int | None = None) -> Drawing:
    """One table; `separator` stands between a difference and its interval, and `names` is the most that names take."""
    drawing = Drawing(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for name in group.names:
        drawing.add_column(name, overflow="fold", max_width=names)
    for name in HEADINGS:
        drawing.add_column(name, justify="right", no_wrap=True)
    for labels, one in group.rows:
        difference, *cells, verdict = _cells(one)
        told = (*map(plain, labels), difference.replace(" [", f"{separator}["), *cells)
        drawing.add_row(*map(Text, told), Text(verdict, style=STYLES[one.verdict]))
    return drawing


def print_matrices(console: Console, comparisons: Sequence[Comparison], order: Order) -> None:
    """Print who is better than whom, a matrix for each metric and scenario.

    Args:
        console: where to.
        comparisons: every pair once, corrected for their number.
        order: by metric and scenario, the strategies from the best to the last.
    """
    for (metric, scenario), found in grouped(comparisons, _table).items():
        console.print(Text(f"{plain(scenario)}: {heading(metric)}, row against column", style="bold"))
        console.print(Text(_matrix(found, order[metric, scenario])), soft_wrap=True)
        console.print()
    console.print(Text(LEGEND, style="dim"))
    console.print(Text(_how(corrected=True), style="dim"))


def render_comparisons(
    comparisons: Sequence[Comparison],
    file_format: Format,
    corrected: bool,
    order: Order | None = None,
) -> str:
    """Comparisons in a format for files; markdown shows matrices where an order is given, the others always pairs."""
    if file_format == "md":
        return _markdown(comparisons, corrected, order)
    rows = [asdict(one) for one in comparisons]
    if file_format == "json":
        return json.dumps({"how": _how(corrected), "comparisons": rows}, indent=2, allow_nan=False) + "\n"
    flat = [row | row.pop("difference") for row in rows]
    names = [name for name in Comparison.__dataclass_fields__ if name != "difference"]
    file = io.StringIO()
    writer = csv.DictWriter(file, [*names, *Interval.__dataclass_fields__], lineterminator="\n")
    writer.writeheader()
    writer.writerows(flat)
    return file.getvalue()


def _markdown(comparisons: Sequence[Comparison], corrected: bool, order: Order | None) -> str:
    lines = []
    if order:
        for (metric, scenario), found in grouped(comparisons, _table).items():
            lines += [
                f"### {escape(scenario)}: {heading(metric)}",
                "",
                "```text",
                _matrix(found, order[metric, scenario]),
                "```",
                "",
            ]
        lines += [f"Row against column: {escape(LEGEND)}.", ""]
    else:
        for group in _groups(comparisons):
            heads = [*group.names, *(name.replace("\n", " ") for name in HEADINGS)]
            lines += [f"### {escape(group.title)}", "", "| " + " | ".join(heads) + " |"]
            lines.append("|" + " --- |" * len(group.names) + " ---: |" * len(HEADINGS))
            lines += ["| " + " | ".join([*map(escape, names), *_cells(one)]) + " |" for names, one in group.rows]
            lines.append("")
    if any(one.verdict == "too few seeds" for one in comparisons):
        lines += [f"**{TOO_FEW}**", ""]
    return "\n".join([*lines, f"- {_how(corrected)}"]) + "\n"


def _cells(one: Comparison) -> list[str]:
    """What stands under the headings."""
    return [
        written_difference(one.difference, RUN_METRICS[one.metric].quantity),
        f"{one.improvement:.0%}".replace("%", " %"),
        NONE if one.effect is None else f"{one.effect:+.{2 if abs(one.effect) < 10 else 0}f}",
        NONE if one.p is None else ("<.001" if one.p < 0.001 else f"{one.p:.3f}"),
        str(one.difference.n),
        one.verdict,
    ]


def written_difference(found: Interval, quantity: Quantity) -> str:
    """`+0.031 [+0.012, +0.050]`."""
    mean, low, high = (
        NONE if value is None else signed(value, quantity) for value in (found.mean, found.low, found.high)
    )
    return mean if found.low is None else f"{mean} [{low}, {high}]"


def signed(value: float, quantity: Quantity) -> str:
    return f"{'-' if value < 0 else '+'}{write(abs(value), quantity)}"


def _matrix(comparisons: Sequence[Comparison], order: Sequence[str]) -> str:
    """A line for each strategy, a sign for each other one; a blank where they share no seeds."""
    mirrored: Mapping[Verdict, Verdict] = {"better": "worse", "worse": "better"}
    signs = {(one.first, one.second): SIGNS[one.verdict] for one in comparisons}
    signs |= {(one.second, one.first): SIGNS[mirrored.get(one.verdict, one.verdict)] for one in comparisons}
    there = {name for pair in signs for name in pair}
    names = [name for name in order if name in there]
    digits = len(str(len(names)))
    numbers = [str(number).rjust(digits) for number in range(1, len(names) + 1)]
    width = max((len(plain(name)) for name in names), default=0)
    head = [" " * (digits + width + 2) + "".join(number[k] for number in numbers) for k in range(digits)]
    lines = [
        f"{number} {plain(name).ljust(width)} "
        + "".join("\\" if name == other else signs.get((name, other), " ") for other in names)
        for number, name in zip(numbers, names, strict=True)
    ]
    return "\n".join([*head, *lines])


def _how(corrected: bool) -> str:
    if not corrected:
        return f"{HOW}. The verdict follows the interval."
    return (
        f"{HOW}, corrected for the number of pairs on each scenario (Holm); a verdict needs p < 0.05 and the interval."
    )


__all__ = ["Order", "print_comparisons", "print_matrices", "render_comparisons"]
