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
    """Return the study that a file holds; where there is no file, make it. Higher values are better.

    Args:
        file: the journal. Lines at its end that were never finished are removed.
        name: the name of the study.

    Raises:
        OSError: if the file cannot be read or written.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    if file.exists():
        _mend(file)
    storage = JournalStorage(JournalFileBackend(str(file)))
    return optuna.create_study(storage=storage, study_name=name, direction="maximize", load_if_exists=True)


def _mend(file: Path) -> None:
    """Remove the first line that was never finished, and all after it, because Optuna could not go on from there.

    A line is unfinished if, for example, the power failed. Nothing is lost, because the trials are made again from the
    records of their runs.
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
