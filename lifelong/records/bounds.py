"""How large what is read may be: results come from strangers, and reading them must not fill memory or hang.

The limits leave room: the longest board has 200 experiences, and rules that act every few updates leave some megabytes.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Annotated

from pydantic import Field

MAX_RECORD_BYTES = 64 * 2**20
"""Of a record as JSON: as many events as there may be. Reading it takes some five times that in memory."""
MAX_PUBLISHED_BYTES = 2**30
"""Of a file of records after decompression: gzip makes a few megabytes of ten gigabytes."""
MAX_PUBLISHED_RECORDS = 100_000
"""More than a hundred times the largest board that comes along."""
MAX_SPEC_BYTES = 100_000
"""Of a specification as JSON: its values stand in labels and in the configuration of a W&B run."""
MAX_EXPERIENCES = 1_000
"""R is their square: a million numbers."""
MAX_EVENTS = 200_000
"""Of one run: one for each update of the longest stream that comes along."""
MAX_NAME = 1_000
"""Characters of a name, as of a layer that lies deep in other modules."""
MAX_COUNT = 2**63 - 1
"""What numpy holds as an integer."""
MAX_NUMBER = 1e100
"""So that sums of squares stay finite; what diverges in single precision ends at 3.4e38."""

NonNegative = Annotated[int, Field(ge=0, le=MAX_COUNT)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Number = Annotated[float, Field(ge=-MAX_NUMBER, le=MAX_NUMBER)]
Positive = Annotated[float, Field(ge=0, le=MAX_NUMBER)]
Name = Annotated[str, Field(max_length=MAX_NAME)]


def read_bytes(path: Path, limit: int = MAX_RECORD_BYTES) -> bytes:
    """The content of a file; a pipe or a device is not waited for.

    Raises:
        ValueError: if it is larger than the limit, in bytes, or no regular file.
        OSError: if it cannot be read.
    """
    with open(path, "rb", opener=_without_waiting) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise ValueError("not a regular file")
        content = file.read(limit + 1)
    if len(content) > limit:
        raise ValueError(f"larger than {limit / 2**20:.0f} MiB")
    return content


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def plain(text: str) -> str:
    """Text from anyone's file on one line, without characters that steer a terminal."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)


__all__ = [
    "MAX_COUNT",
    "MAX_EVENTS",
    "MAX_EXPERIENCES",
    "MAX_NAME",
    "MAX_NUMBER",
    "MAX_PUBLISHED_BYTES",
    "MAX_PUBLISHED_RECORDS",
    "MAX_RECORD_BYTES",
    "MAX_SPEC_BYTES",
    "Fraction",
    "Name",
    "NonNegative",
    "Number",
    "Positive",
    "plain",
    "read_bytes",
]
