"""Limits to what is read from a file: results come from strangers, and reading them must not fill memory or hang.

The limits leave room: the longest board has 200 experiences, and rules that act every few updates leave some megabytes.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Annotated

from pydantic import Field

MAX_RECORD_BYTES = 64 * 2**20
"""The size of a record as JSON, with as many events as it may have. Reading it takes about five times that memory."""
MAX_PUBLISHED_BYTES = 2**30
"""The size of a file of records after decompression: gzip packs ten gigabytes into a few megabytes."""
MAX_PUBLISHED_RECORDS = 100_000
"""The number of records in a file: more than a hundred times the largest board of the suite."""
MAX_SPEC_BYTES = 100_000
"""The size of a specification as JSON, because its values stand in labels and in the configuration of a W&B run."""
MAX_EXPERIENCES = 1_000
"""The number of experiences. R has its square: a million numbers."""
MAX_EVENTS = 200_000
"""The number of events of a run: one for each update of the longest stream of the suite."""
MAX_NAME = 1_000
"""The characters of a name, for example of a layer that lies deep in other modules."""
MAX_COUNT = 2**63 - 1
"""The largest integer that numpy holds."""
MAX_NUMBER = 1e100
"""The largest number, so that sums of squares stay finite. Single precision ends at 3.4e38."""

NonNegative = Annotated[int, Field(ge=0, le=MAX_COUNT)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Number = Annotated[float, Field(ge=-MAX_NUMBER, le=MAX_NUMBER)]
Positive = Annotated[float, Field(ge=0, le=MAX_NUMBER)]
Name = Annotated[str, Field(max_length=MAX_NAME)]


def read_bytes(path: Path, limit: int = MAX_RECORD_BYTES) -> bytes:
    """Return the content of a file, without waiting for a pipe or a device.

    Args:
        path: the file.
        limit: how large it may be, in bytes.

    Raises:
        ValueError: if it is larger than the limit, or no regular file.
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
    """Make text from anyone's file safe to print: on one line, without characters that control a terminal."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)
