"""Puts records from several machines into one folder. Only failures are overwritten, only by records that are ok."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lifelong.errors import UsageError
from lifelong.records.agreement import difference
from lifelong.records.record import Record, read, why
from lifelong.records.sources import Located, existing, records_in
from lifelong.records.store import Store, set_aside, write_whole

MergeOutcome = Literal["new", "same", "mended", "failed", "conflict", "damaged"]
"""What became of a record.

`new`: it was written where there was none. `same`: it was there already. `mended`: it took the place of a failure.
`failed`: it is a failure, and was left out because the one that is there is ok. `conflict`: its result differs from the
one that is there, and it was kept beside it. `damaged`: it is no record, or could not be written.
"""


TOLD: Mapping[str, str] = {
    "conflict": "another result of this run is there; both are kept",
    "damaged": "no record, or none that can be written",
    "failed": "failed, and is left out because the one that is there is ok",
    "mended": "takes the place of one that failed",
}
"""What a user should know about an outcome. An outcome that a user expects has no sentence."""


def told(what: str, outcome: str, reason: str, sentences: Mapping[str, str] = TOLD) -> str:
    """Write a sentence about what became of a record; return an empty text for an outcome that a user expects.

    Args:
        what: the record, or the file.
        outcome: a key of `sentences`, or an outcome that a user expects.
        reason: why; empty for none.
        sentences: what to say about each outcome.
    """
    if outcome not in sentences:
        return ""
    return f"{what}: {sentences[outcome]}" + (f": {reason}" if reason else "")


@dataclass(frozen=True)
class Merged:
    """What became of one record."""

    located: Located
    outcome: MergeOutcome
    reason: str = ""

    @property
    def told(self) -> str:
        """What a user should know, in one sentence; empty for an outcome that a user expects."""
        return told(str(self.located.where), self.outcome, self.reason)


def merge(places: Iterable[Path], out: Path) -> Iterator[Merged]:
    """Put the records of several places into one folder, those of each board apart, and tell what becomes of each.

    Args:
        places: folders or files (see `records_in`).
        out: the folder to write to, as `--out` of `lifelong run`.

    Raises:
        UsageError: if a place cannot hold records, or the folder cannot be made. Nothing has been written by then.
    """
    places = [existing(place) for place in places]
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot write to {out}: {why(error)}; choose another with --out") from None
    for place in places:
        for located in records_in(place):
            yield _merged(located, out)


def _merged(located: Located, out: Path) -> Merged:
    if located.record is None:
        return Merged(located, "damaged", located.reason)
    store = Store(out, located.record.board)
    try:
        outcome = add(located.record, store)
    except OSError as error:
        return Merged(located, "damaged", why(error))
    return Merged(located, outcome, _apart(located.record, store) if outcome == "conflict" else "")


def _apart(record: Record, store: Store) -> str:
    return f"R differs by up to {difference(record, read(store.path(record.spec))):.3g}"


def add(record: Record, store: Store) -> MergeOutcome:
    """Put a record into a folder.

    The record that is there stays. If the new one has an equal result, it is not written. If its result differs, it is
    written beside the other, under a name that no reader takes for a record's. Only a failure is replaced, by a record
    that is ok. A file that is no record is set aside.

    Raises:
        OSError: if the record cannot be written.
    """
    path = store.path(record.spec)
    known = _known(path)
    if known is None:
        store.write(record)
        return "new"
    if record.ok and not known.ok:
        store.write(record)
        return "mended"
    if not record.ok:
        return "failed" if known.ok else "same"
    if known.key == record.key and known.board == record.board and difference(known, record) == 0:
        return "same"
    beside = conflict(path, record)
    if not beside.exists():
        write_whole(beside, record.to_json().encode())
    return "conflict"


def conflict(path: Path, record: Record) -> Path:
    """Return where to put a record whose result differs from the one at a path. Equal results get the same place."""
    told = hashlib.sha256(f"{record.board} {record.key} {record.accuracy}".encode()).hexdigest()
    return path.with_name(f"{path.name}.conflict-{told[:8]}")


def _known(path: Path) -> Record | None:
    try:
        return read(path)
    except FileNotFoundError:
        return None
    except ValueError:
        set_aside(path)
        return None
