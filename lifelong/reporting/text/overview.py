"""Where a board stands: which cells are done, failed, missing or impossible."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from lifelong.boards.plan import Cell, Plan, State
from lifelong.records.bounds import plain
from lifelong.records.store import Store
from lifelong.reporting.text.table import Block, Column, Report, Row, Table
from lifelong.reporting.text.table import Cell as Line
from lifelong.reporting.text.words import grouped

STATES: tuple[State, ...] = ("done", "failed", "missing")


def plan_report(plan: Plan) -> Report:
    """Tell the state of the cells, a row for each scenario and strategy, and why others are impossible."""
    columns = [Column("scenario", "name"), Column("strategy", "name"), *(Column(state, right=True) for state in STATES)]
    possible = (cell for cell in plan.cells if cell.state != "impossible")
    rows = []
    for (scenario, strategy), cells in grouped(possible, lambda c: (c.scenario.name, c.strategy.name)).items():
        counts = Counter(cell.state for cell in cells)
        rows.append(Row([scenario, strategy, *(str(counts[state] or "") for state in STATES)]))
    reasons = dict.fromkeys(cell.reason for cell in plan.cells if cell.state == "impossible")
    return Report(
        tables=[Table(columns, rows)],
        notes=[Line(f"impossible: {reason}", "none") for reason in reasons],
        summary=[summary(plan.cells)],
    )


def status_report(plan: Plan, store: Store) -> Report:
    """Tell how many cells are done, and of each that failed the reason, and where all is that its run printed."""
    lines = []
    for cell in plan.cells:
        if cell.state == "failed" and cell.record is not None:
            name = f"{cell.scenario.name} · {cell.strategy.name} · seed {cell.seed}"
            lines.append(f"{name}: {cell.record.status}: {cell.record.reason}")
            if (log := store.log(cell.record.spec)).exists():
                lines.append(f"  in full: {log}")
    waiting = len(list(store.root.glob(".checkpoints/*.pkl")))
    failures = [Block("", "\n".join(map(plain, lines)))] if lines else []  # not broken, so that paths can be copied
    return Report(failures, summary=[summary(plan.cells) + (f"; {waiting} begun" if waiting else "")])


def summary(cells: Iterable[Cell]) -> str:
    """Write `120 of 195 cells done, 2 failed, 73 missing; 5 impossible`."""
    counts = Counter(cell.state for cell in cells)
    possible = sum(counts.values()) - counts["impossible"]
    text = f"{counts['done']} of {possible} cells done, {counts['failed']} failed, {counts['missing']} missing"
    return text + (f"; {counts['impossible']} impossible" if counts["impossible"] else "")
