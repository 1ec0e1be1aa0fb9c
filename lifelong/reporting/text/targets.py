"""Published numbers beside ours, as text: for the terminal, markdown, CSV and JSON."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table as Drawing
from rich.text import Text

from lifelong.boards.targets import Target
from lifelong.records.bounds import plain
from lifelong.records.metrics import RUN_METRICS
from lifelong.reporting.statistics.targets import FEW, Status, TargetOutcome, summary
from lifelong.reporting.text.comparisons import signed
from lifelong.reporting.text.notes import INTERVAL
from lifelong.reporting.text.numbers import write
from lifelong.reporting.text.rankings import Format
from lifelong.reporting.text.words import NONE, arrow, escape, grouped, written

Commands = Sequence[str | None]
"""For each outcome what to type to run it again; None where nothing is."""

HEADINGS = ("scenario", "strategy", "metric", "published", "ours", "seeds", "difference", "status")
RULE = (
    "Reproduced where our mean over seeds is within the tolerance (±) of the published value; above and below are of "
    f"the number, whichever direction is better. In brackets: {INTERVAL}, which has no say. Difference: ours minus the "
    "published. Seeds: those that have the number, of those planned."
)
FEW_SEEDS = f"Some rest on fewer than {FEW} seeds: their status says little."
STYLES: Mapping[Status, str] = {"reproduced": "green", "above": "yellow", "below": "yellow", "not run": "dim"}


def print_targets(console: Console, outcomes: Sequence[TargetOutcome]) -> None:
    """Print a table, on a narrow console a paragraph for each target; then where the published numbers are from."""
    sources = list(dict.fromkeys(one.target.source for one in outcomes))
    drawing = _drawn(outcomes, sources)
    if Measurement.get(console, console.options.update(width=10_000), drawing).maximum <= console.width:
        console.print(drawing)
    else:
        _print_paragraphs(console, outcomes, sources)
    for number, source in enumerate(sources, start=1):
        console.print(Text(f"source {number}: {plain(source)}"))
    for remark in remarks(outcomes):
        console.print(Text(plain(remark)))
    if any(one.few for one in outcomes):
        console.print(Text(FEW_SEEDS, style="yellow"))
    console.print(Text(RULE, style="dim"))
    console.print(Text(summary(outcomes), style="bold"))


def _drawn(outcomes: Sequence[TargetOutcome], sources: Sequence[str]) -> Drawing:
    drawing = Drawing(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for heading in (*HEADINGS, "source"):
        right = heading in ("seeds", "difference", "source")
        drawing.add_column(heading, justify="right" if right else "left", no_wrap=True)
    for one in outcomes:
        *cells, status = map(plain, cells_of(one))
        source = str(sources.index(one.target.source) + 1)
        drawing.add_row(*map(Text, cells), Text(status, style=STYLES[one.status]), Text(source))
    return drawing


def _print_paragraphs(console: Console, outcomes: Sequence[TargetOutcome], sources: Sequence[str]) -> None:
    for one in outcomes:
        scenario, strategy, metric, published, ours, seeds, difference, status = map(plain, cells_of(one))
        source = sources.index(one.target.source) + 1
        console.print(Text.assemble(f"{scenario} · {strategy}: ", (status, STYLES[one.status])))
        console.print(Text(f"    {metric}: published {published} (source {source})"))
        if one.difference is not None:
            console.print(Text(f"    ours {ours}, difference {difference}, seeds {seeds}"))
    console.print()


def render_targets(outcomes: Sequence[TargetOutcome], commands: Commands, file_format: Format) -> str:
    """The same in a format for files, with what to type for each row.

    Args:
        outcomes: to write, in this order.
        commands: one for each of them.
        file_format: `md` for GitHub markdown, rounded; `csv` and `json` in full precision.
    """
    if file_format == "md":
        return _markdown(outcomes, commands)
    rows = [_as_data(one, command) for one, command in zip(outcomes, commands, strict=True)]
    if file_format == "json":
        told = {"rule": RULE, "interval": INTERVAL, "summary": summary(outcomes), "targets": rows}
        return json.dumps(told, indent=2, allow_nan=False) + "\n"
    file = io.StringIO()
    writer = csv.DictWriter(file, _COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue()


_TAIL = ("mean", "low", "high", "n", "planned", "difference", "status", "reason", "command")
_COLUMNS = (*Target.model_fields, *_TAIL)


def _as_data(one: TargetOutcome, command: str | None) -> dict[str, Any]:
    found = {"planned": one.planned, "difference": one.difference, "status": one.status}
    names = dict(zip(("scenario", "strategy"), cells_of(one), strict=False))
    told = {"reason": one.reason, "command": command}
    return one.target.model_dump() | names | asdict(one.ours) | found | told


def _markdown(outcomes: Sequence[TargetOutcome], commands: Commands) -> str:
    lines = [f"**{summary(outcomes)}**", ""]
    lines += ["| " + " | ".join((*HEADINGS, "source", "run it again")) + " |"]
    lines += [
        "|" + "".join(" ---: |" if name in ("seeds", "difference") else " --- |" for name in HEADINGS) + " --- | --- |"
    ]
    for one, command in zip(outcomes, commands, strict=True):
        cells = [*map(escape, cells_of(one)), escape(one.target.source), code(command)]
        lines.append("| " + " | ".join(cells) + " |")
    notes = [*remarks(outcomes), RULE, *([FEW_SEEDS] if any(one.few for one in outcomes) else [])]
    return "\n".join([*lines, "", *(f"- {escape(note)}" for note in notes)]) + "\n"


def code(command: str | None) -> str:
    """A command in a cell of a markdown table."""
    return f"`{plain(command)}`".replace("|", r"\|") if command else NONE


def cells_of(one: TargetOutcome) -> list[str]:
    """What stands under `HEADINGS`."""
    target, metric = one.target, RUN_METRICS[one.target.metric]
    return [
        target.scenario.rpartition(".py:")[2],
        target.strategy.rpartition(".py:")[2],
        f"{metric.title} {arrow(metric.name)}",
        f"{write(target.value, metric.quantity)} ± {write(target.tolerance, metric.quantity)}",
        written(one.ours, one.ours.n, target.metric, " "),
        f"{one.ours.n}/{one.planned}",
        NONE if one.difference is None else signed(one.difference, metric.quantity),
        one.status,
    ]


def remarks(outcomes: Sequence[TargetOutcome]) -> list[str]:
    """What has to be known of single targets: why there is no number of ours, and what the board says of them."""
    told = [(" · ".join(cells_of(one)[:2]), text) for one in outcomes for text in (one.reason, one.target.note) if text]
    return [
        f"{', '.join(name for name, _ in found)}: {text}" for text, found in grouped(told, lambda pair: pair[1]).items()
    ]


__all__ = ["HEADINGS", "RULE", "Commands", "cells_of", "code", "print_targets", "remarks", "render_targets"]
