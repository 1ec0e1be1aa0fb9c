"""Asks the command line, in this process, for what the pages say."""

from __future__ import annotations

import json
from typing import Any

from typer.testing import CliRunner

from lifelong.cli import app


def ask(*arguments: str) -> str:
    """Return what `lifelong ARGUMENTS` prints.

    Raises:
        RuntimeError: if the command fails.
    """
    done = CliRunner().invoke(app, arguments)
    if done.exit_code:
        raise RuntimeError(f"lifelong {' '.join(arguments)}: {done.exception or done.output}") from done.exception
    return done.stdout


def ask_data(*arguments: str) -> Any:
    """Return what `lifelong ARGUMENTS --format json` prints, as data."""
    return json.loads(ask(*arguments, "--format", "json"))
