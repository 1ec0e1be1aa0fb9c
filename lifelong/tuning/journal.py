"""Keeps a study in a file: Optuna's journal, with a line for each trial that is over."""

from __future__ import annotations

import json
from itertools import takewhile
from pathlib import Path

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from lifelong.records.store import write_whole


def study_in(file: Path, name: str) -> optuna.Study:
    """Return the study of that name in a file. It is made where there is none. Higher values are better.

    Raises:
        OSError: if the file cannot be read or written.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    if file.exists():
        _mend(file)
    storage = JournalStorage(JournalFileBackend(str(file)))
    return optuna.create_study(storage=storage, study_name=name, direction="maximize", load_if_exists=True)


def _mend(file: Path) -> None:
    """Drop a line that was never finished, for example because the power failed, and what follows it.

    Optuna could not go on from it. Nothing is lost, because the trials are made again from the records of their runs.
    """
    lines = file.read_bytes().splitlines(keepends=True)
    whole = list(takewhile(_is_whole, lines))
    if len(whole) < len(lines):
        write_whole(file, b"".join(whole))


def _is_whole(line: bytes) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return line.endswith(b"\n")
