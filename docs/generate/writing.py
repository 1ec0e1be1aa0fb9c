"""Fills the templates, which are Markdown with Jinja's marks."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from lifelong.registry import scenarios
from lifelong.reporting.text.render import escape

ADDRESSES = (
    (re.compile(r"arXiv:(\d{4}\.\d{4,5})"), r"[\g<0>](https://arxiv.org/abs/\1)"),
    (re.compile(r"doi:([^\s,;)]+)"), r"[\g<0>](https://doi.org/\1)"),
)


def fill(template: str, **values: Any) -> str:
    """Return a template with its values.

    Raises:
        jinja2.UndefinedError: if the template names a value that is not given.
    """
    return _environment().get_template(template).render(**values)


def linked(source: str) -> str:
    """Return a source with a link for each paper that it names by arXiv number or DOI.

    >>> linked("Li et al. 2025, arXiv:2503.21419")
    'Li et al. 2025, [arXiv:2503.21419](https://arxiv.org/abs/2503.21419)'
    """
    for pattern, link in ADDRESSES:
        source = pattern.sub(link, source)
    return source


def interval(one: dict[str, Any], form: str = ".3f") -> str:
    """Return a mean with its interval: `0.946 [0.937, 0.954]`."""
    if one["mean"] is None:
        return "-"
    if one["low"] is None:
        return f"{one['mean']:{form}}"
    return f"{one['mean']:{form}} \\[{one['low']:{form}}, {one['high']:{form}}\\]"


def in_table(text: str) -> str:
    """Return Markdown that may stand in a cell of a table."""
    return text.replace("|", r"\|")


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # what is written is Markdown
    )
    environment.globals["scenario_names"] = set(scenarios.all())
    environment.filters |= {"linked": linked, "interval": interval, "cell": escape, "in_table": in_table}
    return environment
