"""The baselines: what each does and needs, how it stands against published numbers, and what to type to see it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from lifelong.contracts import Strategy
from lifelong.registry import strategies
from lifelong.reporting.statistics.reproduction import TargetOutcome, summary
from lifelong.reporting.text.render import escape
from lifelong.reporting.text.reproduction import code
from lifelong.reporting.text.table import NONE, Cell, Column, Report, Row, Table

NO_TARGET = "no target"
HOW = (
    "Computed from the records that are published with each board; `lifelong targets BOARD` tells the numbers. "
    "`lifelong check` tries out what has no target."
)
COLUMNS = (
    Column("strategy", "name"),
    Column("in Avalanche", only="markdown"),
    Column("what it does, and its source", only="markdown"),
    Column("needs", optional=True),
    Column("published numbers"),
    Column("what it does", "summary", only="terminal"),
    Column("run it again", only="markdown"),
)

Outcomes = Mapping[str, Sequence[TargetOutcome]]
"""What became of a board's targets, by its name."""


def baseline_report(outcomes: Outcomes) -> Report:
    """Tell how each baseline stands, and what became of each board's targets."""
    known = _known(outcomes)
    return Report(
        tables=[Table(COLUMNS, list(map(_row, known)))],
        summary=[
            Cell(f"{board}: {summary(own)}", markdown=f"- `{board}`: {summary(own)}") for board, own in outcomes.items()
        ],
        notes=[Cell(HOW, "dim", HOW)],
        data=lambda: known,
    )


def _known(outcomes: Outcomes) -> list[dict[str, Any]]:
    """What JSON holds: a mapping for each baseline, in the order of their families."""
    known = []
    for entry in _baselines():
        own = [(board, one) for board, all_ in outcomes.items() for one in all_ if one.target.method == entry.name]
        runs = [_run(board, entry, one) for board, one in own]
        known.append(
            {
                "name": entry.name,
                "avalanche": entry.avalanche,
                "needs": sorted(entry.needs),
                "published": summary([one for _, one in own]) or NO_TARGET,
                "summary": entry.summary,
                "source": entry.source,
                "commands": list(dict.fromkeys(runs)) or [shlex.join(["lifelong", "check", entry.name])],
            }
        )
    return known


def _baselines() -> list[Strategy]:
    """The installed strategies of those families of which Avalanche has some."""
    installed = strategies.all().values()
    families = {entry.family for entry in installed if entry.avalanche}
    return sorted(
        (entry for entry in installed if entry.family in families),
        key=lambda entry: (entry.role == "contestant", entry.family, entry.name),
    )


def _run(board: str, entry: Strategy, one: TargetOutcome) -> str:
    """What to type for all of a strategy's targets that have the same parameters."""
    settings = [
        word for name, value in one.target.settings.items() for word in ("--set", f"{entry.name}.{name}={value}")
    ]
    return shlex.join(["lifelong", "run", board, "--strategy", entry.name, *settings])


def _row(known: Mapping[str, Any]) -> Row:
    needs = ", ".join(known["needs"])
    return Row(
        [
            code(known["name"]),
            code(known["avalanche"]),
            Cell(NONE, markdown=f"{escape(known['summary'])} {_linked(known['source'])}"),
            Cell(needs, markdown=escape(needs)),
            known["published"].replace("; ", ";\n"),
            known["summary"],
            Cell(NONE, markdown="<br>".join(str(code(command).markdown) for command in known["commands"])),
        ]
    )


def _linked(source: str) -> str:
    """The first paper of a source by its authors and its year, with a link where it names one."""
    short = re.match(r".*?\b(?:19|20)\d\d\b", source)
    text = escape(short[0] if short else source.partition(",")[0])
    for pattern, address in (
        (r"arXiv:(\d{4}\.\d{4,5})", "https://arxiv.org/abs/"),
        (r"doi:(\S+?)[,;)]*(?:\s|$)", "https://doi.org/"),
    ):
        if link := re.search(pattern, source.partition("; ")[0]):
            return f"[{text}]({address}{link[1]})"
    return text
