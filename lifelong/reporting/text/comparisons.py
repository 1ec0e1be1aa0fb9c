"""Comparisons of strategies, paired by seed: tables of pairs, or a matrix of signs for many."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict

from lifelong.records.bounds import plain
from lifelong.records.metrics import RUN_METRICS, Quantity
from lifelong.reporting.statistics.bootstrap import Interval
from lifelong.reporting.statistics.comparison import Comparison, Verdict
from lifelong.reporting.text.table import NONE, Block, Cell, Column, Report, Row, Table, item
from lifelong.reporting.text.words import grouped, heading, signed

Order = Mapping[tuple[str, str], Sequence[str]]
"""The labels in the order of a matrix, by metric and scenario."""

FIGURES = tuple(
    Column(name, right=True) for name in ("first - second", "better\nin", "effect", "p", "pairs", "verdict")
)
SIGNS: Mapping[Verdict, str] = {"better": "+", "worse": "-", "same": "=", "cannot tell": ".", "too few seeds": "?"}
LEGEND = "; ".join(f"{sign} {verdict}" for verdict, sign in SIGNS.items()) + "; a blank: no values of equal seed"
STYLES: Mapping[Verdict, str] = {"better": "green", "worse": "red", "same": "dim"}
TOO_FEW = "Too few seeds to tell: five on one scenario, or three on each of two, are the least."
HOW = (
    "The verdict is on the first. first - second: mean over pairs of equal seed, and its 95 % bootstrap interval. "
    "better in: share of the pairs in which the first is better. effect: the difference in its standard deviations "
    "(Hedges' g). same: equal in every pair. p: paired t-test"
)


def comparison_report(comparisons: Sequence[Comparison], corrected: bool, order: Order | None = None) -> Report:
    """Tell how pairs of strategies compare.

    Args:
        comparisons: each pair on each scenario.
        corrected: whether p-values are corrected for the number of comparisons.
        order: for matrices instead of tables: by metric and scenario, the labels from the best to the last.
    """
    tables: list[Table] | list[Block] = _tables(comparisons) if order is None else _matrices(comparisons, order)
    how = _how(corrected)
    return Report(
        tables=tables,
        warnings=[TOO_FEW] if any(one.verdict == "too few seeds" for one in comparisons) else (),
        notes=[*([f"Row against column: {LEGEND}."] if order else []), item(how)],
        data=lambda: {"how": how, "comparisons": [asdict(one) for one in comparisons]},
        fields=[name for name in Comparison.__dataclass_fields__ if name != "difference"]
        + list(Interval.__dataclass_fields__),
        values=lambda: (row | row.pop("difference") for row in map(asdict, comparisons)),
    )


def _how(corrected: bool) -> str:
    if not corrected:
        return f"{HOW}. The verdict follows the interval."
    return (
        f"{HOW}, corrected for the number of pairs on each scenario (Holm); a verdict needs p < 0.05 and the interval."
    )


def _tables(comparisons: Sequence[Comparison]) -> list[Table]:
    """A pair on every scenario in one table, or the pairs of each scenario in one."""
    pairs = {(one.first, one.second) for one in comparisons}
    if len(pairs) == 1:
        ((first, second),) = pairs
        return [
            _table(f"{first} against {second}: {heading(metric)}", group, ["scenario"])
            for metric, group in grouped(comparisons, lambda one: one.metric).items()
        ]
    tables = []
    for (metric, scenario), group in grouped(comparisons, lambda one: (one.metric, one.scenario)).items():
        title = f"{scenario}: {heading(metric)}"
        if len({one.first for one in group}) == 1:
            tables.append(_table(f"{title}, {group[0].first} against", group, ["second"]))
        else:
            tables.append(_table(title, group, ["first", "second"]))
    return tables


def _table(title: str, comparisons: Sequence[Comparison], names: Sequence[str]) -> Table:
    rows = [Row([*(str(getattr(one, name)) for name in names), *_figures(one)]) for one in comparisons]
    return Table([*(Column(name, "name") for name in names), *FIGURES], rows, title)


def _figures(one: Comparison) -> list[str | Cell]:
    """What stands under `FIGURES`."""
    return [
        written_difference(one.difference, RUN_METRICS[one.metric].quantity).replace(" [", "\n["),
        f"{one.improvement:.0%}".replace("%", " %"),
        NONE if one.effect is None else f"{one.effect:+.{2 if abs(one.effect) < 10 else 0}f}",
        NONE if one.p is None else ("<.001" if one.p < 0.001 else f"{one.p:.3f}"),
        str(one.difference.n),
        Cell(one.verdict, STYLES.get(one.verdict, "")),
    ]


def written_difference(difference: Interval, quantity: Quantity) -> str:
    """Write `+0.031 [+0.012, +0.050]`."""
    mean, low, high = (
        NONE if value is None else signed(value, quantity)
        for value in (difference.mean, difference.low, difference.high)
    )
    return mean if difference.low is None else f"{mean} [{low}, {high}]"


def _matrices(comparisons: Sequence[Comparison], order: Order) -> list[Block]:
    return [
        Block(f"{scenario}: {heading(metric)}, row against column", _matrix(group, order[metric, scenario]))
        for (metric, scenario), group in grouped(comparisons, lambda one: (one.metric, one.scenario)).items()
    ]


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
