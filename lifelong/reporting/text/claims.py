"""Claims against controls: a line for each claim of a board, a column for each scenario."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich import box
from rich.console import Console
from rich.table import Table as Drawing
from rich.text import Text

from lifelong.records.bounds import plain
from lifelong.records.metrics import RUN_METRICS
from lifelong.reporting.statistics.comparison import Comparison, Pair, Verdict
from lifelong.reporting.text.comparisons import written_difference
from lifelong.reporting.text.words import escape, grouped, heading

MARKS: Mapping[Verdict, str] = {"better": "✓", "worse": "✗", "too few seeds": "?"}
HEADINGS = ("strategy", "control", "what is claimed to help")
LEGEND = (
    "Strategy minus control: mean over pairs of equal seed, and its 95 % bootstrap interval. ✓ borne out, ✗ the "
    "opposite, by an interval without zero, and p < 0.05 by the paired t-test, corrected for the number of claims on "
    "each scenario (Holm). In brackets: the interval alone, a hint, for some of so many are so by chance. ? too few "
    "seeds; without a mark it cannot be told; 0 where both did the same, bit for bit."
)


def print_claims(console: Console, comparisons: Sequence[Comparison], claims: Mapping[Pair, str]) -> None:
    """Print a table for each metric and scenario, in which the claims that can be told stand out.

    Args:
        console: where to.
        comparisons: of the claims' pairs, corrected for their number.
        claims: what is claimed, by strategy and control.
    """
    styles = {"better": "green", "worse": "red"}
    for (metric, scenario), found in grouped(comparisons, lambda one: (one.metric, one.scenario)).items():
        console.print(Text(f"{plain(scenario)}: {heading(metric)}", style="bold"))
        drawing = Drawing(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
        for name in HEADINGS:
            drawing.add_column(name, overflow="fold")
        drawing.add_column("strategy - control", justify="right", no_wrap=True)
        for one in found:
            cells = (one.first, one.second, claims[one.first, one.second], _cell(one))
            drawing.add_row(*(Text(plain(cell)) for cell in cells), style=styles.get(one.verdict, ""))
        console.print(drawing)
    console.print(Text(LEGEND, style="dim"))


def render_claims(comparisons: Sequence[Comparison], claims: Mapping[Pair, str]) -> str:
    """The same in markdown, a table for each metric."""
    lines = []
    for metric, found in grouped(comparisons, lambda one: one.metric).items():
        scenarios = list(dict.fromkeys(one.scenario for one in found))
        cells = {(one.first, one.second, one.scenario): _cell(one) for one in found}
        lines += [f"### {heading(metric)}, strategy minus control", ""]
        lines.append("| " + " | ".join([*HEADINGS, *map(escape, scenarios)]) + " |")
        lines.append("|" + " --- |" * (len(HEADINGS) + len(scenarios)))
        for (strategy, control), claim in claims.items():
            row = [cells.get((strategy, control, scenario), "") for scenario in scenarios]
            bold = [f"**{cell}**" if cell.endswith(("✓", "✗")) else cell for cell in row]
            lines.append("| " + " | ".join([*map(escape, (strategy, control, claim)), *bold]) + " |")
        lines.append("")
    return "\n".join([*lines, f"- {LEGEND}"]) + "\n"


def _cell(one: Comparison) -> str:
    """`+0.038 [+0.002, +0.062] ✓`."""
    if one.verdict == "same":
        return "0"
    mark = MARKS.get(one.verdict) or (f"({MARKS[one.by_interval]})" if one.by_interval else "")
    return f"{written_difference(one.difference, RUN_METRICS[one.metric].quantity)} {mark}".rstrip()


__all__ = ["print_claims", "render_claims"]
