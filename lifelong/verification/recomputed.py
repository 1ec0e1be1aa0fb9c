"""Recomputes rankings that lie beside records, and compares them number by number, or cell by cell.

Ranks are not compared, because they depend on who else is in a table, which may show a part of its board.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lifelong.records.bounds import read_bytes
from lifelong.records.metrics import RUN_METRICS
from lifelong.records.record import why
from lifelong.records.sources import rankings
from lifelong.records.store import below
from lifelong.reporting.statistics.scores import Contest
from lifelong.reporting.statistics.standings import standings
from lifelong.reporting.text.rankings import as_data, ranking_report
from lifelong.reporting.text.render import escape, render
from lifelong.reporting.text.words import heading
from lifelong.verification.finding import Finding

ROUNDING = 1e-9
"""The largest relative difference that two machines may come to."""
NUMBERS = ("mean", "low", "high", "n")
HEADINGS = {heading(name): name for name in RUN_METRICS}

Rows = Mapping[tuple[str, str], Mapping[str, Any]]
"""For each scenario and strategy, the numbers or cells by their names."""


@dataclass(frozen=True)
class Ranking:
    """Holds what a file tells: numbers, or the text of cells."""

    metrics: tuple[str, ...]
    rows: Rows


def wrong(place: Path, boards: Mapping[str, Sequence[Contest]]) -> Iterator[Finding]:
    """Yield where rankings say something else than the records.

    Args:
        place: a folder, with rankings anywhere below it, as `lifelong board --format json` or `--format md` writes
            them.
        boards: the contests of each board, by the board's name. A ranking belongs to the board that its path names;
            else to the first board that has one of its scenarios. A ranking that belongs to no board is left alone.
    """
    for path in sorted(filter(Path.is_file, [*below(place, "*.json"), *below(place, "*.md")])):
        try:
            ranking = (_in_markdown if path.suffix == ".md" else _in_json)(read_bytes(path))
        except (OSError, ValueError) as error:
            yield Finding("rankings", str(path), why(error))
            continue
        named = [contests for name, contests in boards.items() if name in (path.stem, *path.parts)]
        scenarios = {scenario for scenario, _ in ranking.rows}
        for contests in named or boards.values():
            if scenarios & {name for contest in contests for name in (contest.scenario, escape(contest.scenario))}:
                expected = _recomputed(contests, ranking.metrics, as_text=path.suffix == ".md")
                yield from (Finding("rankings", str(path), what) for what in _differences(ranking.rows, expected))
                break


def _recomputed(contests: Sequence[Contest], metrics: Sequence[str], as_text: bool) -> Rows:
    tables = standings(contests, metrics)
    if as_text:
        return _in_markdown(render(ranking_report(tables, metrics), "md").encode()).rows
    return _numbers(as_data(tables, metrics))


def _differences(stated: Rows, expected: Rows) -> Iterator[str]:
    scenarios = {scenario for scenario, _ in expected}
    for (scenario, strategy), cells in stated.items():
        where = f"{scenario} · {strategy}"
        if (own := expected.get((scenario, strategy))) is not None:
            wrong = [name for name in cells if name in own and not _same(cells[name], own[name])]
            if wrong:
                yield f"{where}: " + "; ".join(f"{name} is {cells[name]}, by the records {own[name]}" for name in wrong)
        elif scenario in scenarios:
            yield f"{where}: no such row by the records"


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=ROUNDING, abs_tol=ROUNDING)
    return bool(one == other)


def _in_json(content: bytes) -> Ranking:
    """Return a ranking that was written as JSON; it is empty if the content is something else."""
    data = rankings(content) if b'"tables"' in content else None
    if data is None:
        return Ranking((), {})
    try:
        rows = _numbers(data)
    except (AttributeError, KeyError, OverflowError, TypeError):
        raise ValueError("rankings without scenarios, strategies or metrics") from None
    names = dict.fromkeys(name.rpartition(".")[0] for cells in rows.values() for name in cells)
    return Ranking(tuple(name for name in names if name in RUN_METRICS), rows)


def _numbers(data: Mapping[str, Any]) -> Rows:
    """Return the numbers of a ranking, each under a name such as `average_accuracy.mean`."""
    return {
        (str(table["scenario"]), str(row["strategy"])): {
            f"{metric}.{name}": None if interval.get(name) is None else float(interval[name])
            for metric, interval in row["metrics"].items()
            for name in NUMBERS
        }
        for table in data["tables"]
        for row in table["rows"]
    }


def _in_markdown(content: bytes) -> Ranking:
    """Return the rankings on a page, each below the name of its scenario; other tables are passed over."""
    rows: dict[tuple[str, str], dict[str, str]] = defaultdict(dict)
    title, headings = "", list[str]()
    for line in content.decode().splitlines():
        if line.startswith("#"):
            title = line.lstrip("#").strip()
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if not cells:
            headings = []
        elif cells[:2] == ["#", "strategy"]:
            headings = cells
        elif headings and not set(line) <= set("|-: "):
            pairs = list(zip(headings, cells, strict=False))
            rows[title, pairs[1][1]].update((name, cell) for name, cell in pairs[2:] if name != "#")
    names = dict.fromkeys(HEADINGS[name] for cells in rows.values() for name in cells if name in HEADINGS)
    return Ranking(tuple(names), rows)
