"""The baselines: what each does and needs, how it stands against published numbers, and what to type to see it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lifelong.contracts import Strategy
from lifelong.registry import strategies
from lifelong.reporting.statistics.targets import TargetOutcome, summary
from lifelong.reporting.text.targets import code
from lifelong.reporting.text.words import escape

HEADINGS = ("strategy", "in Avalanche", "what it does, and its source", "needs", "published numbers", "run it again")
NO_TARGET = "no target"
HOW = (
    "Computed from the records that are published with each board; `lifelong targets BOARD` tells the numbers. "
    "`lifelong check` tries out what has no target."
)


def rows(found: Mapping[str, Sequence[TargetOutcome]]) -> Iterator[dict[str, Any]]:
    """A mapping for each baseline, in the order of their files.

    Args:
        found: by the name of a board, what became of its targets.
    """
    for entry in _baselines():
        own = {board: [one for one in outcomes if one.target.method == entry.name] for board, outcomes in found.items()}
        boards = [board for board, outcomes in own.items() if outcomes]
        told = summary([one for board in boards for one in own[board]])
        runs = [_run(board, entry, one) for board in boards for one in own[board]]
        yield {
            "name": entry.name,
            "avalanche": entry.avalanche,
            "needs": sorted(entry.needs),
            "published": told or NO_TARGET,
            "summary": entry.summary,
            "source": entry.source,
            "commands": list(dict.fromkeys(runs)) or [shlex.join(["lifelong", "check", entry.name])],
        }


def markdown(found: Mapping[str, Sequence[TargetOutcome]]) -> str:
    """The same as a table, below what became of each board's targets."""
    lines = [f"- `{board}`: {summary(outcomes)}" for board, outcomes in found.items()]
    lines += [*[""] * bool(lines), "| " + " | ".join(HEADINGS) + " |", "|" + " --- |" * len(HEADINGS)]
    for row in rows(found):
        cells = [
            code(row["name"]),
            code(row["avalanche"]),
            f"{escape(row['summary'])} {_linked(row['source'])}",
            escape(", ".join(row["needs"])),
            row["published"],
            "<br>".join(map(code, row["commands"])),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join([*lines, "", HOW]) + "\n"


def _baselines() -> list[Strategy]:
    """The installed strategies of those families, a file each, of which Avalanche has some."""
    there = strategies.all().values()
    families = {entry.function.__module__ for entry in there if entry.avalanche}
    return sorted(
        (entry for entry in there if entry.function.__module__ in families),
        key=lambda entry: (entry.role == "contestant", entry.function.__module__, entry.name),
    )


def _run(board: str, entry: Strategy, one: TargetOutcome) -> str:
    """What to type for all of a strategy's targets that have the same parameters."""
    settings = [
        word for name, value in one.target.settings.items() for word in ("--set", f"{entry.name}.{name}={value}")
    ]
    return shlex.join(["lifelong", "run", board, "--strategy", entry.name, *settings])


def _linked(source: str) -> str:
    """The first paper of a source by its authors and its year, with a link where it names one."""
    short = re.match(r".*?\b(?:19|20)\d\d\b", source)
    text = escape(short[0] if short else source.partition(",")[0])
    for pattern, address in (
        (r"arXiv:(\d{4}\.\d{4,5})", "https://arxiv.org/abs/"),
        (r"doi:(\S+?)[,;)]*(?:\s|$)", "https://doi.org/"),
    ):
        if found := re.search(pattern, source.partition("; ")[0]):
            return f"[{text}]({address}{found[1]})"
    return text


__all__ = ["markdown", "rows"]
