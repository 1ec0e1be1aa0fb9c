"""How commands answer: results to stdout or into a file, all else to stderr. Light to import, as `lifelong.cli` is."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, cast

import typer

from lifelong.commands.options import Form
from lifelong.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from lifelong.records.merge import Merged
    from lifelong.reporting.text.render import Format
    from lifelong.reporting.text.table import Report
    from lifelong.reporting.wandb.pull import Pulled

RESUMES = "what is done is kept, and the same command goes on from there"


def stdout() -> Console:
    """Return the console for results."""
    from rich.console import Console

    return Console()


def stderr() -> Console:
    """Return the console for all else."""
    from rich.console import Console

    return Console(stderr=True)


def say(sentence: str) -> None:
    """Tell the person at the terminal something that is no result."""
    from lifelong.records.bounds import plain

    print("\n".join(map(plain, sentence.splitlines())), file=sys.stderr, flush=True)


def say_outcomes(what: str, outcomes: Iterable[Merged | Pulled]) -> int:
    """Say what became of records or runs: of each what a person should know, and how many there are of each outcome.

    Args:
        what: `records` or `runs`.
        outcomes: carried out one by one as they are said.

    Returns:
        How many there were.

    Raises:
        Exit: 1, if any was damaged or in conflict with another.
    """
    counts: Counter[str] = Counter()
    for one in outcomes:
        counts[one.outcome] += 1
        if one.told:
            say(one.told)
    told = ", ".join(f"{count} {name}" for name, count in counts.items())
    say(f"{counts.total()} {what} read" + (f": {told}" if told else ""))
    if counts["conflict"] or counts["damaged"]:
        raise typer.Exit(1)
    return counts.total()


def answer(report: Report, form: Form = Form.table, output: Path | None = None) -> None:
    """Print a report, or write it to a file.

    Raises:
        UsageError: if the file cannot be written.
    """
    from lifelong.reporting.text.render import render, show

    if form is Form.table:
        show(stdout(), report)
    else:
        write_out(output, render(report, cast("Format", form.value)))


def check_form(form: Form, output: Path | None, *, records: bool = False) -> None:
    """See that a format fits, before anything is read.

    Args:
        form: the format.
        output: the file that it is for.
        records: whether the records themselves can be written, too.

    Raises:
        UsageError: if it does not.
    """
    if form is Form.jsonl and not records:
        raise UsageError("--format jsonl is for records; choose table, md, csv or json")
    if output is not None and form is Form.table:
        others = "md, csv, json or jsonl" if records else "md, csv or json"
        raise UsageError(f"--output: a table is for the terminal; choose --format {others}")


def write_out(path: Path | None, content: str) -> None:
    """Write to stdout, or to a file, compressed where its name ends in `.gz`.

    Raises:
        UsageError: if the file cannot be written.
    """
    if path is None:
        sys.stdout.write(content)
        return
    from lifelong.records.published import compressed
    from lifelong.records.record import why
    from lifelong.records.store import write_whole

    written = compressed(content) if path.suffix == ".gz" else content.encode()
    try:
        if path.exists() and not (path.is_file() or path.is_dir()):
            path.write_bytes(written)  # a device or a pipe, which a file must not take the place of
        else:
            write_whole(path, written)
    except OSError as error:
        raise UsageError(f"cannot write {path}: {why(error)}") from None


@contextmanager
def stoppable(kept: str) -> Iterator[None]:
    """Let Ctrl-C end the work inside.

    Args:
        kept: what to say of it then.

    Raises:
        Exit: 130, if it is stopped.
    """
    try:
        yield
    except KeyboardInterrupt:
        say(f"stopped; {kept}")
        raise typer.Exit(130) from None


@contextmanager
def writing_to(folder: Path, kept: str = "") -> Iterator[None]:
    """Explain why a folder cannot be written to, where the work inside finds that out.

    Args:
        folder: where it writes.
        kept: what to say beside the reason.

    Raises:
        UsageError: if it cannot be written to.
    """
    from lifelong.records.record import why

    try:
        yield
    except OSError as error:
        raise UsageError(f"cannot write to {folder}: {why(error)}{kept}") from None
