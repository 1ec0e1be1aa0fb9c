"""Records: the JSON file that a finished or failed run leaves behind.

The JSON schema is published beside this file as `record.schema.json`. It is made from `Record`.
"""

from __future__ import annotations

import gc
import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, ValidationError, model_validator

from lifelong.records.bounds import (
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
from lifelong.records.entries import Capacity, Drift, Event, Learning, Provenance, Times
from lifelong.records.spec import Spec, Strict

if TYPE_CHECKING:
    from lifelong.measures.continual import Matrix

SCHEMA = 1
Status = Literal["ok", "failed", "timeout", "out of memory"]


class Record(Strict):
    """The outcome of one run. It holds what was measured; every metric is derived from that, and none is stored.

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
        default=[], max_length=MAX_EXPERIENCES, description="after each training: one for each experience, or just one"
    )
    events: list[Event] = Field(default=[], max_length=MAX_EVENTS, description="oldest first")
    drifts: list[Drift] = Field(default=[], max_length=MAX_EVENTS, description="drifts that the scenario states")
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
        """Whether the run came to its end."""
        return self.status == "ok"

    def matrix(self) -> Matrix | None:
        """Return R, of shape (T + 1, T), NaN where nothing was evaluated; None where there is no R, or T is zero."""
        from lifelong.measures.continual import validate  # imports numpy, which a plan does not need

        return validate(self.accuracy) if self.accuracy and self.accuracy[0] else None

    @property
    def reason(self) -> str:
        """Why a run failed, on one line: the exception of a traceback, else the first line of the error."""
        lines = (self.error or "").strip().splitlines() or ["no reason known"]
        frames = [number for number, line in enumerate(lines) if line.startswith('  File "')]
        after = lines[frames[-1] :] if frames and lines[0].startswith("Traceback") else lines
        line = next((line for line in after if line[:1].strip()), lines[-1])
        return plain(line[:MAX_NAME])

    def to_json(self, indent: int | None = 1) -> str:
        """Return the record as it is stored: as JSON, on one line if `indent` is None."""
        return json.dumps(self.model_dump(mode="json", by_alias=True), indent=indent, allow_nan=False) + "\n"


def json_schema() -> str:
    """Return the published schema of a record, as JSON."""
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
    """Validate a file's content as a record.

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
    """Say why a file cannot be read or written: in the system's words where the error is the system's."""
    return getattr(error, "strerror", None) or str(error)


@contextmanager
def no_garbage() -> Iterator[None]:
    """Make many records without collecting garbage: records have no cycles, and looking for some costs much time."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()
