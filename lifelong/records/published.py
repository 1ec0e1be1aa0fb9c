"""Records in one file, one on each line: what a board publishes, and what anyone can rank again."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from lifelong.errors import UsageError
from lifelong.records.bounds import MAX_PUBLISHED_BYTES, MAX_PUBLISHED_RECORDS, MAX_RECORD_BYTES, plain
from lifelong.records.record import Record, parse, why


def as_lines(records: Iterable[Record]) -> str:
    """Write records as lines of JSON, in an order that does not depend on the order given."""
    ordered = sorted(records, key=lambda record: (record.spec.scenario.name, record.spec.strategy.name, record.key))
    return "".join(record.to_json(indent=None) for record in ordered)


def compressed(text: str) -> bytes:
    """Compress text with gzip. The same text gives the same bytes."""
    return gzip.compress(text.encode(), mtime=0)


@dataclass(frozen=True)
class Published:
    """The records of one file.

    Args:
        path: a file with lines of JSON, compressed where its name ends in `.gz`.
        board: the board whose records they must be.
    """

    path: Path
    board: str

    def load(self) -> tuple[dict[str, Record], dict[Path, str]]:
        """Return the records by key. A file counts as a whole or not at all, so the dictionary of damage is empty.

        Raises:
            UsageError: if there is no such file, or a line of it is not a record of this board.
        """
        records: dict[str, Record] = {}
        for number, line in enumerate(lines(self.path), start=1):
            try:
                record = parse(line)
                if record.board != self.board:
                    raise ValueError(plain(f"a record of {record.board}, not of {self.board}"))
                if record.key in records:
                    raise ValueError("a run that stands above already")
            except ValueError as error:
                raise UsageError(f"{self.path}:{number}: {error}") from None
            records[record.key] = record
        return records, {}


def lines(path: Path) -> Iterator[bytes]:
    """Yield the lines of a published file, one by one, so that the whole file is never in memory.

    Raises:
        UsageError: if it cannot be read, or is larger than the limits (`lifelong.records.bounds`).
    """
    try:
        with _opened(path) as file:
            size = 0
            for number in range(1, MAX_PUBLISHED_RECORDS + 2):
                line = file.readline(MAX_RECORD_BYTES + 1)
                size += len(line)
                if not line:
                    return
                if number > MAX_PUBLISHED_RECORDS or len(line) > MAX_RECORD_BYTES or size > MAX_PUBLISHED_BYTES:
                    raise UsageError(f"{path}:{number}: larger than any board's records")
                yield line
    except (OSError, EOFError, zlib.error) as error:
        raise UsageError(f"{path}: {why(error)}") from None


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    if not path.is_file() and path.exists():
        raise UsageError(f"{path}: not a regular file")
    with path.open("rb") as file:
        if path.suffix == ".gz":
            with gzip.GzipFile(fileobj=file) as inflated:
                yield cast(BinaryIO, inflated)
        else:
            yield file
