"""The folder of a board's records: where each record lies, and how it is written whole or not at all."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from lifelong.errors import UsageError
from lifelong.records.record import Record, no_garbage, read, why
from lifelong.records.spec import Spec


def _safe(name: str) -> str:
    """Make a name fit to be one part of a path."""
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
        """The board's folder."""
        return self.out / _safe(self.board)

    def path(self, spec: Spec) -> Path:
        """Return the place of a run's record."""
        return self._place(spec, spec.key)

    def _place(self, spec: Spec, key: str) -> Path:
        return _folder(self.root, spec.scenario.name, spec.strategy.name) / f"{spec.seed}-{key[:12]}.json"

    def checkpoint(self, spec: Spec) -> Path:
        """Return the place of the checkpoint from which an unfinished run can go on."""
        return self.root / ".checkpoints" / f"{spec.key}.pkl"

    def log(self, spec: Spec) -> Path:
        """Return the place of the file that holds what the run's process prints."""
        return self.root / ".logs" / f"{spec.key[:16]}.txt"

    def write(self, record: Record) -> Path:
        """Write a record whole or not at all."""
        path = self.path(record.spec)
        write_whole(path, record.to_json().encode())
        return path

    def files(self) -> Iterator[Path]:
        """Yield every file that should be a record."""
        yield from sorted(self.root.glob("*/*/*.json"))

    def load(self) -> tuple[dict[str, Record], dict[Path, str]]:
        """Return the records by key, and the files that are no records with the reason.

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
        """Try to write to the folder, before any training.

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
    """Return the files below a folder whose names match, in order, without checkpoints, logs and the files of W&B."""

    def hidden(path: Path) -> bool:
        return any(part.startswith(".") or part == "wandb" for part in path.relative_to(folder).parts)

    return [path for path in sorted(folder.rglob(pattern)) if not hidden(path)]


def set_aside(path: Path) -> Path:
    """Rename a file that is no record, so that its place is free and nothing is lost; return its new path."""
    for number in range(10_000):
        target = path.with_suffix(f".json.damaged{number or ''}")
        if not target.exists():
            break
    return path.rename(target)


def write_whole(path: Path, content: bytes) -> None:
    """Write a file under a temporary name, flush it to disk, and rename it. A reader never sees half of it."""
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
