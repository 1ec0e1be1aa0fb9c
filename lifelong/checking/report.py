"""Prints what checks came to: as a table with explanations for a person, or complete as JSON for a program."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from lifelong.checking.answers import Verdict
from lifelong.checking.check import Report, Result

SIGNS: dict[Verdict, tuple[str, str]] = {
    "passed": ("✓", "green"),
    "failed": ("✗", "bold red"),
    "note": ("i", "cyan"),
    "not applicable": ("-", "dim"),
}


def print_report(console: Console, report: Report) -> None:
    """Print a table of checks by scenarios, then explain each failure, and give the reasons, notes and hints."""
    scenarios = list(dict.fromkeys(result.scenario for result in report.results))
    table = Table("", *scenarios, box=box.SIMPLE_HEAD, title=report.title, title_justify="left")
    for name in dict.fromkeys(result.check.name for result in report.results):
        signs = [SIGNS[result.answer.verdict] for result in report.results if result.check.name == name]
        table.add_row(name, *(Text(sign, style=style) for sign, style in signs))
    console.print(table)
    for results in _alike(report.results, "failed"):
        _explain(console, results)
    for verdict in ("note", "not applicable"):
        for reason, results in _reasons(report.results, verdict).items():
            console.print(Text(f"{SIGNS[verdict][0]} {_where(results)}: {reason}", style="dim"), soft_wrap=True)
    for hint in report.hints:
        console.print(Text(f"hint: {hint}", style="dim"), soft_wrap=True)


def _alike(results: Iterable[Result], verdict: Verdict) -> list[list[Result]]:
    """Return the results of one verdict; those of one check that have the same cause are grouped."""
    groups: dict[tuple[str, str], list[Result]] = {}
    for result in results:
        if result.answer.verdict == verdict:
            groups.setdefault((result.check.name, result.answer.cause), []).append(result)
    return list(groups.values())


def _reasons(results: Iterable[Result], verdict: Verdict) -> dict[str, list[Result]]:
    """Return the results of one verdict by what happened."""
    groups: dict[str, list[Result]] = {}
    for result in results:
        if result.answer.verdict == verdict:
            groups.setdefault(result.answer.happened, []).append(result)
    return groups


def _where(results: Sequence[Result]) -> str:
    """Return check and scenarios, such as `seeds repeat on toy, toy-task`; for several checks the scenarios alone."""
    names = list(dict.fromkeys(result.check.name for result in results))
    scenarios = ", ".join(dict.fromkeys(result.scenario for result in results))
    return f"{names[0]} on {scenarios}" if len(names) == 1 else scenarios


def _explain(console: Console, results: Sequence[Result]) -> None:
    first = results[0]
    console.print(Text(f"✗ {_where(results)}", style="bold red"), soft_wrap=True)
    lines = [("expected", first.check.expected), ("happened", first.answer.happened)]
    lines += [("likely", first.answer.cause), ("mend it", first.answer.remedy)]
    for label, text in lines:
        if text:
            console.print(Text(f"  {label:<9}{text}"), soft_wrap=True)


def as_json(reports: Sequence[Report]) -> str:
    """Return everything as JSON, for programs."""
    return json.dumps([_data(report) for report in reports], indent=2) + "\n"


def _data(report: Report) -> dict[str, Any]:
    return {
        "strategy": report.strategy.name,
        "model": report.model or None,
        "ok": report.ok,
        "hints": report.hints,
        "results": [
            {"scenario": one.scenario, "check": one.check.name, "expected": one.check.expected, **asdict(one.answer)}
            for one in report.results
        ],
    }
