"""Records: the JSON file that a finished or failed run leaves behind, and the folder that holds them.

The JSON schema is published beside this file as `record.schema.json`; `Record` is where it is defined.
"""

from __future__ import annotations

import gc
import hashlib
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, ValidationError, model_validator

from lifelong.errors import UsageError
from lifelong.running.bounds import (
    MAX_EVENTS,
    MAX_EXPERIENCES,
    MAX_NAME,
    MAX_SPEC_BYTES,
    Fraction,
    Name,
    Positive,
    plain,
    read_bytes,
)
from lifelong.running.entries import Capacity, Drift, Event, Learning, Provenance, Times
from lifelong.running.spec import Spec, Strict

if TYPE_CHECKING:
    from lifelong.measures.continual import Matrix

SCHEMA = 1
Status = Literal["ok", "failed", "timeout", "out of memory"]


class Record(Strict):
    """One run's outcome. Every metric is derived from what is measured here; none is stored.

    Raises:
        ValidationError: if the matrix is not of shape (T + 1, T), or the key is not that of the specification.
    """

    schema_version: Literal[1] = Field(1, alias="schema")
    key: str = Field(pattern="^[0-9a-f]{64}$")
    board: Name
    spec: Spec
    status: Status
    error: str | None = Field(None, description="the traceback, or why there is none")
    accuracy: list[list[Fraction | None]] | None = Field(
        None,
        max_length=MAX_EXPERIENCES + 1,
        description="(T + 1) x T fractions: row 0 the untrained network, row i after the i-th experience; "
        "column j the (j + 1)-th experience's test set; null where not evaluated",
    )
    capacity: list[Capacity] = Field(
        default=[], max_length=MAX_EXPERIENCES + 1, description="before any training, then after each training"
    )
    learning: list[Learning] = Field(
        default=[], max_length=MAX_EXPERIENCES, description="for each training: one for each experience, or one"
    )
    events: list[Event] = Field(default=[], max_length=MAX_EVENTS, description="oldest first")
    drifts: list[Drift] = Field(default=[], max_length=MAX_EVENTS, description="where the scenario tells them")
    times: Times = Times()
    peak_memory_mb: Positive | None = Field(None, description="largest resident set of the run's process")
    provenance: Provenance

    @model_validator(mode="after")
    def _consistent(self) -> Record:
        if len(canonical := self.spec.canonical) > MAX_SPEC_BYTES:
            raise ValueError(f"the specification is longer than {MAX_SPEC_BYTES} characters")
        if self.key != hashlib.sha256(canonical.encode()).hexdigest():
            raise ValueError("the key is not the hash of the specification")
        if self.status == "ok" and self.accuracy is None:
            raise ValueError("a run that is ok has its accuracies")
        if self.accuracy is not None and any(len(row) != len(self.accuracy) - 1 for row in self.accuracy):
            raise ValueError("the accuracies are not a (T + 1) x T matrix")
        return self

    @property
    def ok(self) -> bool:
        return self.status == "ok"

    def matrix(self) -> Matrix | None:
        """R, of shape (T + 1, T), NaN where nothing was evaluated; None where there is none, or T is zero."""
        from lifelong.measures.continual import validate  # numpy, which a plan does without

        return validate(self.accuracy) if self.accuracy and self.accuracy[0] else None

    @property
    def reason(self) -> str:
        """Why a run came to nothing, on one line: the exception of a traceback, else the first line of the error."""
        lines = (self.error or "").strip().splitlines() or ["no reason known"]
        frames = [number for number, line in enumerate(lines) if line.startswith('  File "')]
        after = lines[frames[-1] :] if frames and lines[0].startswith("Traceback") else lines
        line = next((line for line in after if line[:1].strip()), lines[-1])
        return plain(line[:MAX_NAME])

    def to_json(self, indent: int | None = 1) -> str:
        """The record as it is stored; without an indent on one line."""
        return json.dumps(self.model_dump(mode="json", by_alias=True), indent=indent, allow_nan=False) + "\n"


def json_schema() -> str:
    """The published schema of a record, as JSON."""
    schema: dict[str, Any] = Record.model_json_schema(by_alias=True)
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = f"lifelong record, version {SCHEMA}"
    return json.dumps(schema, indent=2, sort_keys=True) + "\n"


def read(path: Path) -> Record:
    """Read and validate one record.

    Raises:
        ValueError: if the file is not a record of this schema; the message says why in one line.
        OSError: if it cannot be read.
    """
    return parse(read_bytes(path))


def parse(content: bytes | str) -> Record:
    """The record that a file's content is.

    Raises:
        ValueError: if it is not a record of this schema; the message says why in one line.
    """
    try:
        return Record.model_validate_json(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        message = first["msg"].removeprefix("Value error, ")
        raise ValueError(plain(f"{where}: {message}" if where else message)[:MAX_NAME]) from None


def why(error: Exception) -> str:
    """What stands in the way of reading or writing a file: the system's words for an error of its own."""
    return getattr(error, "strerror", None) or str(error)


@contextmanager
def no_garbage() -> Iterator[None]:
    """Make many records without looking for garbage among them: they have no cycles, and looking costs much."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


def _safe(name: str) -> str:
    """A name as one part of a path."""
    return re.sub(r"[^\w.-]+", "_", name).strip(".") or "_"


@lru_cache
def _folder(root: Path, scenario: str, strategy: str) -> Path:
    return root / _safe(scenario) / _safe(strategy)


@dataclass(frozen=True)
class Store:
    """The records of one board: `<out>/<board>/<scenario>/<strategy>/<seed>-<key>.json`."""

    out: Path
    board: str

    @property
    def root(self) -> Path:
        return self.out / _safe(self.board)

    def path(self, spec: Spec) -> Path:
        """Where the record of a run lies."""
        return self._place(spec, spec.key)

    def _place(self, spec: Spec, key: str) -> Path:
        return _folder(self.root, spec.scenario.name, spec.strategy.name) / f"{spec.seed}-{key[:12]}.json"

    def checkpoint(self, spec: Spec) -> Path:
        """Where an unfinished run waits to be taken up again."""
        return self.root / ".checkpoints" / f"{spec.key}.pkl"

    def log(self, spec: Spec) -> Path:
        """What the run's process prints."""
        return self.root / ".logs" / f"{spec.key[:16]}.txt"

    def write(self, record: Record) -> Path:
        """Write a record whole or not at all."""
        path = self.path(record.spec)
        write_whole(path, record.to_json().encode())
        return path

    def files(self) -> Iterator[Path]:
        """Every file that should be a record."""
        yield from sorted(self.root.glob("*/*/*.json"))

    def load(self) -> tuple[dict[str, Record], dict[Path, str]]:
        """The records by key, and the files that are none with the reason.

        Raises:
            UsageError: if what should be a folder is a file.
        """
        for folder in (self.out, self.root):
            if folder.exists() and not folder.is_dir():
                raise UsageError(f"{folder} is not a folder; choose another with --out")
        records, damaged = {}, {}
        with no_garbage():
            for path in self.files():
                try:
                    record = read(path)
                    place = self._place(record.spec, record.key)
                    if place != path or record.board != self.board:
                        raise ValueError(f"belongs at {place.relative_to(self.out)}, board {record.board}")
                except (OSError, ValueError) as error:
                    damaged[path] = why(error)
                else:
                    records[record.key] = record
        return records, damaged

    def check_writable(self) -> None:
        """Try the folder before any training.

        Raises:
            UsageError: if nothing can be written there.
        """
        probe = self.root / f".probe-{os.getpid()}"
        try:
            write_whole(probe, b"0" * 65536)
            probe.unlink()
        except OSError as error:
            raise UsageError(f"cannot write to {self.root}: {why(error)}; choose another with --out") from None


def below(folder: Path, pattern: str) -> list[Path]:
    """The files of such names below a folder, in order; checkpoints, logs and W&B's own are passed over."""
    found = sorted(folder.rglob(pattern))
    return [
        path
        for path in found
        if not any(part.startswith(".") or part == "wandb" for part in path.relative_to(folder).parts)
    ]


def set_aside(path: Path) -> Path:
    """Rename a file that is no record, so that nothing is lost and its place is free."""
    for number in range(10_000):
        target = path.with_suffix(f".json.damaged{number or ''}")
        if not target.exists():
            break
    return path.rename(target)


def write_whole(path: Path, content: bytes) -> None:
    """Write to a temporary name, flush to disk, rename: a reader sees the old file or the new one, never half."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
