"""Prints the findings of a verification: grouped for a person, or complete as JSON for a program."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict
from math import inf

from rich.console import Console
from rich.text import Text

from lifelong.records.bounds import plain
from lifelong.verification.finding import Finding, Level
from lifelong.verification.rerun import TOLERANCE, Rerun

HEADS: dict[Level, tuple[str, str]] = {
    "fails": ("Fails", "bold red"),
    "open": ("Open: outside of what the board allows closed runs to choose", "bold yellow"),
    "note": ("Notes", "bold"),
}
LISTED = 20
"""How many findings of one check are printed; the rest are only counted."""
NOT_CHECKED = (
    "Not checked: whether data sets on this machine have the hashes that the records state; the ranks and words of "
    "rankings beside the records, and their CSV files and pages; whether anything was measured as stated, which only "
    "--rerun can tell."
)
AGREEMENT = (
    "With the same processor, versions, commit and device, R, capacity and events must agree bit for bit; otherwise R "
    f"must agree to {TOLERANCE:g} in each entry."
)


def print_findings(console: Console, findings: Sequence[Finding]) -> None:
    """Print what fails, each with its place; then the rest, where a fact of several places is printed once."""
    for level, (head, style) in HEADS.items():
        chosen = [finding for finding in findings if finding.level == level]
        if chosen:
            console.print(Text(head, style=style))
        for check in dict.fromkeys(finding.check for finding in chosen):
            lines = _lines([finding for finding in chosen if finding.check == check], each=level == "fails")
            console.print(Text(f"  {check}"))
            for line in lines[:LISTED]:
                console.print(Text(f"    {line}"), soft_wrap=True)
            if len(lines) > LISTED:
                console.print(Text(f"    and {len(lines) - LISTED} more; --json tells all", style="dim"))
    console.print(Text(NOT_CHECKED, style="dim"), soft_wrap=True)


def _lines(findings: Sequence[Finding], each: bool) -> list[str]:
    if each:
        return [f"{finding.where}: {finding.what}" for finding in findings]
    places: dict[str, list[str]] = defaultdict(list)
    for finding in findings:
        places[finding.what].append(finding.where)
    return [
        f"{first}{f' and {len(others)} more' if others else ''}: {what}" for what, (first, *others) in places.items()
    ]


def print_rerun(console: Console, rerun: Rerun) -> None:
    """Print a rerun in one line."""
    console.print(Text(f"{name(rerun)}: {verdict(rerun)}"), soft_wrap=True)


def print_agreement(console: Console) -> None:
    """Print how the verdicts on reruns are reached."""
    console.print(Text(AGREEMENT, style="dim"), soft_wrap=True)


def name(rerun: Rerun) -> str:
    """Return the name of a rerun, such as `digits-class · ewc · seed 3`."""
    spec = rerun.record.spec
    return plain(f"{spec.scenario.name} · {spec.strategy.name} · seed {spec.seed}")


def verdict(rerun: Rerun) -> str:
    """Return the verdict on a rerun in words, with the reason or the difference behind it."""
    if rerun.verdict in ("identical", "failed"):
        return rerun.verdict + (f": {rerun.reason}" if rerun.reason else "")
    place = "here" if rerun.same_place else "on another machine, or with other versions"
    return f"{rerun.verdict}: R differs by up to {rerun.difference:.3g}, {place}"


def as_json(records: int, findings: Sequence[Finding], reruns: Sequence[Rerun]) -> str:
    """Return everything as JSON, for programs."""
    content = {
        "records": records,
        "findings": [asdict(finding) for finding in findings],
        "reruns": [
            {
                "board": rerun.record.board,
                "key": rerun.record.key,
                "run": name(rerun),
                "verdict": rerun.verdict,
                "difference": None if rerun.difference in (None, inf) else rerun.difference,
                "same_place": rerun.same_place,
                "reason": rerun.reason,
            }
            for rerun in reruns
        ],
    }
    return json.dumps(content, indent=2) + "\n"
