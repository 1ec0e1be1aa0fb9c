"""Published numbers beside ours: which are reproduced."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from lifelong.boards.targets import Target
from lifelong.records.bounds import plain
from lifelong.records.metrics import RUN_METRICS
from lifelong.reporting.statistics.reproduction import FEW, Status, TargetOutcome, summary
from lifelong.reporting.text.notes import INTERVAL
from lifelong.reporting.text.numbers import write
from lifelong.reporting.text.render import escape
from lifelong.reporting.text.table import NONE, Cell, Column, Report, Row, Table
from lifelong.reporting.text.words import arrow, grouped, signed, written

Commands = Sequence[str | None]
"""What to type to run each outcome again; None where that is impossible."""

COLUMNS = (
    Column("scenario", "name"),
    Column("strategy", "name"),
    Column("metric", leads=True),
    Column("published"),
    Column("ours"),
    Column("seeds", right=True),
    Column("difference", right=True, optional=True),
    Column("status", leads=True),
)
HEADINGS = [column.heading for column in COLUMNS]
RULE = (
    "Reproduced where our mean over seeds is within the tolerance (±) of the published value; above and below are of "
    f"the number, whichever direction is better. In brackets: {INTERVAL}, which has no say. Difference: ours minus the "
    "published. Seeds: those that have the number, of those planned."
)
FEW_SEEDS = f"Some rest on fewer than {FEW} seeds: their status says little."
STYLES: dict[Status, str] = {"reproduced": "green", "above": "yellow", "below": "yellow", "not run": "dim"}
FIELDS = [*Target.model_fields, "mean", "low", "high", "n", "planned", "difference", "status", "reason", "command"]


def target_report(outcomes: Sequence[TargetOutcome], commands: Commands) -> Report:
    """Tell what became of targets, where the published numbers are from, and what to type for each row.

    Args:
        outcomes: to tell, in this order.
        commands: one for each of them; a terminal has no place for them.
    """
    sources = list(dict.fromkeys(one.target.source for one in outcomes))
    pairs = list(zip(outcomes, commands, strict=True))
    told = summary(outcomes)

    def values() -> list[dict[str, Any]]:
        return [_values(one, command) for one, command in pairs]

    return Report(
        tables=[
            Table(
                [*COLUMNS, Column("source"), Column("run it again", only="markdown")],
                [Row([*_row(one, sources), code(command)]) for one, command in pairs],
            )
        ],
        summary=[told],
        warnings=[FEW_SEEDS] if any(one.few for one in outcomes) else (),
        notes=[
            *(
                Cell(f"source {number}: {source}", "none", markdown="")
                for number, source in enumerate(sources, start=1)
            ),
            *(Cell(remark, "none") for remark in remarks(outcomes)),
            RULE,
        ],
        data=lambda: {"rule": RULE, "interval": INTERVAL, "summary": told, "targets": values()},
        fields=FIELDS,
        values=values,
    )


def _row(one: TargetOutcome, sources: Sequence[str]) -> list[Cell]:
    *cells, status = cells_of(one)
    number = str(sources.index(one.target.source) + 1)
    return [
        *(Cell(cell, markdown=escape(cell)) for cell in cells),
        Cell(status, STYLES[one.status]),
        Cell(number, markdown=escape(one.target.source)),
    ]


def _values(one: TargetOutcome, command: str | None) -> dict[str, Any]:
    ours = asdict(one.ours) | {"planned": one.planned, "difference": one.difference, "status": one.status}
    names = dict(zip(("scenario", "strategy"), cells_of(one), strict=False))
    return one.target.model_dump() | names | ours | {"reason": one.reason, "command": command}


def code(command: str | None) -> Cell:
    """Return a cell that holds what to type."""
    text = plain(command or NONE)
    return Cell(text, markdown=f"`{text}`".replace("|", r"\|") if command else NONE)


def cells_of(one: TargetOutcome) -> list[str]:
    """Return what stands under `HEADINGS`."""
    target, metric = one.target, RUN_METRICS[one.target.metric]
    return [
        target.scenario.rpartition(".py:")[2],
        target.strategy.rpartition(".py:")[2],
        f"{metric.title} {arrow(metric.name)}",
        f"{write(target.value, metric.quantity)} ± {write(target.tolerance, metric.quantity)}",
        written(one.ours, one.ours.n, target.metric).replace("\n", " "),
        f"{one.ours.n}/{one.planned}",
        NONE if one.difference is None else signed(one.difference, metric.quantity),
        one.status,
    ]


def remarks(outcomes: Sequence[TargetOutcome]) -> list[str]:
    """Tell what has to be known of single targets: why there is no number of ours, and what the board says of them."""
    told = [(" · ".join(cells_of(one)[:2]), text) for one in outcomes for text in (one.reason, one.target.note) if text]
    groups = grouped(told, lambda pair: pair[1])
    return [f"{', '.join(name for name, _ in pairs)}: {text}" for text, pairs in groups.items()]
