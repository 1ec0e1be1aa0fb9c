"""A run and where it is carried out: what the parent hands to the process of a run. Light to import."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lifelong.records.entries import Tuned
from lifelong.records.spec import Spec
from lifelong.records.store import Store


@dataclass(frozen=True)
class Job:
    """A run, with what it needs on this machine and what is no part of its identity."""

    spec: Spec
    board: str
    scenario: str
    """The scenario's name, or `file.py:name`."""
    strategy: str
    """The strategy's name, or `file.py:name`."""
    out: Path
    data: Path | None = None
    device: str = "cpu"
    checkpoint_s: float = 60.0
    """The most work, in seconds, that a kill may cost beyond the experience in training."""
    tuned: Tuned | None = None
    """The study that chose the strategy's parameters."""

    @property
    def store(self) -> Store:
        return Store(self.out, self.board)
