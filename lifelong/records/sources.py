"""Finds records wherever they lie: in a folder, in folders below it, in published files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic_core import from_json

from lifelong.errors import UsageError
from lifelong.records.bounds import plain, read_bytes
from lifelong.records.published import lines
from lifelong.records.record import Record, parse, why
from lifelong.records.store import below

SUFFIXES = (".json", ".jsonl", ".jsonl.gz")
TOLD = ("tables", "comparisons", "targets")
"""Keys, each with a list, in the JSON of commands that read records. No record has any of them."""
MAX_DAMAGED = 100
"""At so many lines that are no records, the reading of a published file stops: it is something else."""


@dataclass(frozen=True)
class Located:
    """Says where a record lies, or where a record should lie and does not."""

    path: Path
    record: Record | None = None
    line: int | None = None
    """The line of a published file, counted from one."""
    reason: str = ""
    """Why there is no record."""

    @property
    def where(self) -> str:
        """Return the path, with the line of a published file, such as `results/all.jsonl:3`."""
        return plain(str(self.path)) + (f":{self.line}" if self.line else "")


def records_in(place: Path) -> Iterator[Located]:
    """Yield the records in a place one by one, and also the files or lines that should be records and are not.

    Tables that commands wrote beside the records (`lifelong board --format json` and others) are passed over.

    Args:
        place: a folder with records or published files anywhere below it, or one such file.

    Raises:
        UsageError: if there is no such place, or it is a file of a kind that holds no records.
    """
    place = existing(place)
    for path in below(place, "*.json*") if place.is_dir() else [place]:
        yield from _in(path)


def existing(place: Path) -> Path:
    """Return a place with `~` resolved.

    Raises:
        UsageError: if there is no such place, or it is a file of a kind that holds no records.
    """
    if not (place := place.expanduser()).exists():
        raise UsageError(f"no folder or file {str(place)!r}")
    if not (place.is_dir() or place.name.endswith(SUFFIXES)):
        raise UsageError(f"{place}: the name of a file of records ends in {', '.join(SUFFIXES)}")
    return place


def _in(path: Path) -> Iterator[Located]:
    """Yield the records in one file; a folder or a file of another kind yields none."""
    if path.is_dir() or not path.name.endswith(SUFFIXES):
        return
    if path.suffix != ".json":
        yield from _published(path)
        return
    content = b""
    try:
        content = read_bytes(path)
        yield Located(path, parse(content))
    except (OSError, ValueError) as error:
        if not _told(content):
            yield Located(path, reason=why(error))


def _published(path: Path) -> Iterator[Located]:
    damaged = 0
    try:
        for number, line in enumerate(lines(path), start=1):
            try:
                yield Located(path, parse(line), number)
            except ValueError as error:
                yield Located(path, line=number, reason=str(error))
                damaged += 1
            if damaged == MAX_DAMAGED:
                raise UsageError(f"{path}: {MAX_DAMAGED} lines are no records; the rest is not read")
    except UsageError as error:
        yield Located(path, reason=plain(str(error)).removeprefix(f"{plain(str(path))}: "))


def _told(content: bytes) -> bool:
    """Tell whether `board`, `compare` or `targets` wrote the content with `--format json`."""
    try:
        data = from_json(content)
    except ValueError:
        return False
    return isinstance(data, dict) and any(isinstance(data.get(name), list) for name in TOLD)


def rankings(content: bytes) -> dict[str, Any] | None:
    """Return what `lifelong board --format json` wrote; None if the content is something else."""
    try:
        data = from_json(content)
    except ValueError:
        return None
    return data if isinstance(data, dict) and isinstance(data.get("tables"), list) else None
