"""The command as a person has it: in a process of its own for runs, in this one for all that needs no run."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lifelong.boards.board import load_board
from lifelong.boards.plan import Wishes, make_plan
from lifelong.cli import main
from lifelong.records.provenance import provenance
from lifelong.records.record import Record, Status, read
from lifelong.records.store import Store

EXECUTABLE = str(Path(sys.executable).with_name("lifelong"))


@dataclass(frozen=True)
class Answer:
    """What a command came to."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Command:
    """`lifelong` in processes of its own, in a folder of its own; keywords change the environment."""

    folder: Path

    def __call__(self, *arguments: str | Path, **environment: str) -> Answer:
        process = self.start(*arguments, **environment)
        out, err = process.communicate()
        return Answer(process.returncode, out, err)

    def start(self, *arguments: str | Path, **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [EXECUTABLE, *map(str, arguments)],
            cwd=self.folder,
            env={**os.environ, "COLUMNS": "200", "PYTHONWARNINGS": "default", **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def records(self, out: str = "results") -> dict[str, Record]:
        """The records below `--out`, by strategy and seed, as `ewc 0`."""
        found = [read(path) for path in (self.folder / out).glob("*/*/*/*.json")]
        return {f"{record.spec.strategy.name} {record.spec.seed}": record for record in found}

    def outcomes(self, out: str = "results") -> dict[str, dict[str, Any]]:
        """The records without times and provenance: all that must be the same each time."""
        varying = {"times", "provenance", "peak_memory_mb"}
        return {name: record.model_dump(exclude=varying) for name, record in self.records(out).items()}


@pytest.fixture
def command(tmp_path: Path) -> Command:
    return Command(tmp_path)


@pytest.fixture(scope="session")
def executable() -> str:
    return EXECUTABLE


@pytest.fixture
def ask(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Callable[..., Answer]:
    """`lifelong ARGUMENTS` in this process, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")

    def asked(*arguments: str | Path) -> Answer:
        monkeypatch.setattr(sys, "argv", ["lifelong", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            main()
        code = left.value.code
        return Answer(code if isinstance(code, int) else 0, *capsys.readouterr())

    return asked


@pytest.fixture
def leave_records(tmp_path: Path) -> Callable[..., list[Path]]:
    """Write records of a board's cells below `results`, as runs of these outcomes would have left them."""

    def leave(board: str, statuses: Iterable[Status] = itertools.repeat("ok"), seeds: str = "") -> list[Path]:
        loaded = load_board(board)
        store = Store(tmp_path / "results", loaded.name)
        cells = [cell for cell in make_plan(loaded, Wishes(seeds=seeds), store).cells if cell.spec is not None]
        return [
            store.write(_record(loaded.name, cell.spec, status)) for cell, status in zip(cells, statuses, strict=False)
        ]

    return leave


def _record(board: str, spec: Any, status: Status) -> Record:
    return Record(
        schema=1,
        key=spec.key,
        board=board,
        spec=spec,
        status=status,
        error=None if status == "ok" else "it was not to be",
        accuracy=[[0.5, 0.5], [1.0, 0.5], [0.75, 1.0]] if status == "ok" else None,
        provenance=provenance("cpu"),
    )
