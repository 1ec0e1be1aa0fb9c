"""Where a board stands: which cells are done, failed, missing or impossible."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from lifelong.boards.plan import Cell, Plan, State
from lifelong.records.store import Store


def print_cells(console: Console, plan: Plan) -> None:
    """One line for each scenario and strategy, and what is impossible with its reason."""
    drawing = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    states: tuple[State, ...] = ("done", "failed", "missing")
    for column in ("scenario", "strategy"):
        drawing.add_column(column)
    for state in states:
        drawing.add_column(state, justify="right")
    reasons: dict[str, None] = {}
    for (scenario, strategy), cells in _grouped(plan.cells).items():
        if cells[0].state == "impossible":
            reasons[cells[0].reason] = None
            continue
        counts = Counter(cell.state for cell in cells)
        drawing.add_row(scenario, strategy, *(str(counts[state]) if counts[state] else "" for state in states))
    console.print(drawing)
    for reason in reasons:
        console.print(Text(f"impossible: {reason}"), soft_wrap=True)
    console.print(summary(plan.cells))


def print_failures(console: Console, plan: Plan, store: Store) -> None:
    """Each failed cell with its reason, and where all that it printed is."""
    for cell in plan.cells:
        if cell.state == "failed" and cell.record is not None:
            name = f"{cell.scenario.name} · {cell.strategy.name} · seed {cell.seed}"
            console.print(Text(f"{name}: {cell.record.status}: {cell.record.reason}"), soft_wrap=True)
            if (log := store.log(cell.record.spec)).exists():
                console.print(Text(f"  in full: {log}", style="dim"), soft_wrap=True)


def summary(cells: Iterable[Cell]) -> str:
    """`120 of 195 cells done, 2 failed, 73 missing; 5 impossible`."""
    counts = Counter(cell.state for cell in cells)
    possible = sum(counts.values()) - counts["impossible"]
    text = f"{counts['done']} of {possible} cells done, {counts['failed']} failed, {counts['missing']} missing"
    return text + (f"; {counts['impossible']} impossible" if counts["impossible"] else "")


def _grouped(cells: Iterable[Cell]) -> dict[tuple[str, str], list[Cell]]:
    groups: dict[tuple[str, str], list[Cell]] = {}
    for cell in cells:
        groups.setdefault((cell.scenario.name, cell.strategy.name), []).append(cell)
    return groups
