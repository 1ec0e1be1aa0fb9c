"""The page of the command line, from what `--help` says."""

from __future__ import annotations

import html
import re
import subprocess
import sys


def command_page() -> str:
    """Return what each command takes, as Typer writes it."""
    command = [sys.executable, "-m", "typer", "lifelong.cli", "utils", "docs", "--name", "lifelong"]
    written = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    # the lists of subcommands cut their sentences, and the headings below say the same
    whole = re.sub(r"\*\*Commands\*\*:\n\n(?:\* .*\n)+", "", html.unescape(written))
    return whole.replace("# `lifelong`\n", "# Command line\n", 1).rstrip() + "\n"
