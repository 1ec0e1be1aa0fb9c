"""Claims against controls: a row for each claim of a board."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from lifelong.records.metrics import RUN_METRICS
from lifelong.reporting.statistics.comparison import Comparison, Pair, Verdict
from lifelong.reporting.text.comparisons import comparison_report, written_difference
from lifelong.reporting.text.render import escape
from lifelong.reporting.text.table import Cell, Column, Medium, Report, Row, Table, item
from lifelong.reporting.text.words import grouped, heading

MARKS: Mapping[Verdict, str] = {"better": "✓", "worse": "✗", "too few seeds": "?"}
STYLES: Mapping[Verdict, str] = {"better": "green", "worse": "red"}
NAMES = (Column("strategy", "name"), Column("control", "name"), Column("what is claimed to help", "text"))
LEGEND = (
    "Strategy minus control: mean over pairs of equal seed, and its 95 % bootstrap interval. ✓ borne out, ✗ the "
    "opposite, by an interval without zero, and p < 0.05 by the paired t-test, corrected for the number of claims on "
    "each scenario (Holm). In brackets: what the interval alone says, a hint, because some of so many look so by "
    "chance. ? too few seeds; without a mark it cannot be told; 0 where both did the same, bit for bit."
)


def claims_report(comparisons: Sequence[Comparison], claims: Mapping[Pair, str], medium: Medium) -> Report:
    """Tell what became of claims.

    Args:
        comparisons: of the claims' pairs, corrected for their number.
        claims: what is claimed, by strategy and control.
        medium: a terminal has a table for each metric and scenario, in which what can be told stands out; Markdown has
            one for each metric, with a column for each scenario.
    """
    tables = _by_scenario if medium == "terminal" else _by_metric
    programs = comparison_report(comparisons, len(claims) > 1)
    return replace(programs, tables=tables(comparisons, claims), warnings=(), notes=[item(LEGEND)])


def _by_scenario(comparisons: Sequence[Comparison], claims: Mapping[Pair, str]) -> list[Table]:
    groups = grouped(comparisons, lambda one: (one.metric, one.scenario))
    columns = [*NAMES, Column("strategy - control", right=True, leads=True)]
    return [
        Table(columns, [_row(one, claims) for one in group], f"{scenario}: {heading(metric)}")
        for (metric, scenario), group in groups.items()
    ]


def _row(one: Comparison, claims: Mapping[Pair, str]) -> Row:
    return Row([one.first, one.second, claims[one.first, one.second], _told(one)], STYLES.get(one.verdict, ""))


def _by_metric(comparisons: Sequence[Comparison], claims: Mapping[Pair, str]) -> list[Table]:
    tables = []
    for metric, group in grouped(comparisons, lambda one: one.metric).items():
        scenarios = list(dict.fromkeys(one.scenario for one in group))
        cells = {(one.first, one.second, one.scenario): _bold(_told(one)) for one in group}
        rows = [
            Row([*pair, claim, *(cells.get((*pair, scenario), "") for scenario in scenarios)])
            for pair, claim in claims.items()
        ]
        columns = [*NAMES, *(Column(escape(scenario)) for scenario in scenarios)]
        tables.append(Table(columns, rows, f"{heading(metric)}, strategy minus control"))
    return tables


def _bold(told: str) -> Cell:
    """Return a cell that Markdown shows in bold where it is told."""
    return Cell(told, markdown=f"**{told}**" if told.endswith(("✓", "✗")) else told)


def _told(one: Comparison) -> str:
    """Write `+0.038 [+0.002, +0.062] ✓`."""
    if one.verdict == "same":
        return "0"
    mark = MARKS.get(one.verdict) or (f"({MARKS[one.by_interval]})" if one.by_interval else "")
    return f"{written_difference(one.difference, RUN_METRICS[one.metric].quantity)} {mark}".rstrip()
