"""Writes a board's records as one HTML file, which opens from disk and asks no host for anything.

A stranger's record may hold any text. The file holds it as data only: as JSON in which `<`, `>`, `&` and quotes are
escaped, or compressed. The script puts it on the page as text. Should that fail, the page's own security policy still
runs no script except the two whose hashes it names, and lets no request leave.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

import vl_convert
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from lifelong.boards.plan import Plan
from lifelong.reporting.page.content import content
from lifelong.reporting.page.details import details
from lifelong.reporting.page.reproduce import command_for
from lifelong.reporting.statistics.reproduction import outcomes
from lifelong.reporting.statistics.scores import Contest
from lifelong.reporting.statistics.standings import standings

SCRIPTS = ("state.js", "ranking.js", "charts.js", "runs.js", "start.js")
"""The parts of the page's script, in their order."""

HEADINGS = {
    "curves": "Curves",
    "matrix": "R",
    "forgotten": "Forgetting",
    "stream": "Capacity",
    "costs": "Cost",
    "differences": "Differences",
}
"""Short names of the charts' sections, for the navigation on a phone."""


def page(name: str, plan: Plan, contests: Sequence[Contest], metrics: Sequence[str], origin: str = "") -> str:
    """Return the HTML of a board's page.

    Args:
        name: of the board, as the user wrote it.
        plan: of that board.
        contests: its records, arranged.
        metrics: names of `RUN_METRICS`: the columns of the ranking, of which the first two rank.
        origin: whose records they are, in a few words; empty for one's own.

    Raises:
        UsageError: if there is no metric of such a name.
    """
    tables = standings(contests, metrics)
    targets = outcomes(plan.board.targets, plan.cells, contests)
    first = content(name, plan.board, contests, tables, metrics, targets, origin)
    specs = [record.spec for contest in contests for entrant in contest.entrants for record in entrant.records]
    more = details(contests, tables, first["baselines"], command_for(name, plan, specs))
    return _html(first, more)


def _html(first: dict[str, Any], more: dict[str, Any]) -> str:
    environment = Environment(autoescape=True, undefined=StrictUndefined)
    environment.policies["json.dumps_kwargs"] = {"allow_nan": False, "separators": (",", ":")}
    library = vl_convert.javascript_bundle()  # type: ignore[call-arg] # the stub knows no default
    scripts = {"library": library, "script": "".join(map(_own, SCRIPTS))}
    return environment.from_string(_own("page.html")).render(
        **{name: Markup(text) for name, text in scripts.items()},
        css=Markup(_own("page.css")),
        hashes=Markup(" ".join(map(_hash, scripts.values()))),
        content=first,
        details=_compressed(more),
        headings=HEADINGS,
        run=_first(first, "contestant"),
        floor=_first(first, "floor"),
        strategies=list(dict.fromkeys(row["strategy"] for table in first["tables"] for row in table["rows"])),
    )


def _first(first: dict[str, Any], role: str) -> str | None:
    """The best entrant in a role, on the scenario that is shown first: it is selected until somebody chooses."""
    tables = sorted(first["tables"], key=lambda table: bool(table["scenario"] != first["opening"]))
    rows = (row for table in tables for row in table["rows"] if row["role"] == role)
    return next((str(row["strategy"]) for row in rows), None)


def _own(name: str) -> str:
    """The content of a file beside this one."""
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def _hash(script: str) -> str:
    """A script's name in a content security policy."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


def _compressed(data: Any) -> str:
    """JSON, compressed with gzip and written in base64; the same data give the same text."""
    text = json.dumps(data, allow_nan=False, separators=(",", ":"))
    return base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode()
