"""What the parent hands to the process of a run: the run, and where to carry it out. Importing this file is cheap."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lifelong.models import Model, models
from lifelong.records.entries import Tuned
from lifelong.records.spec import Spec
from lifelong.records.store import Store


@dataclass(frozen=True)
class Job:
    """A run, with what it needs on this machine; the latter is not part of the run's identity."""

    spec: Spec
    board: str
    scenario: str
    """The scenario's name, or `file.py:name`."""
    strategy: str
    """The strategy's name, or `file.py:name`."""
    out: Path
    """The folder of records."""
    data: Path | None = None
    """The folder of data sets; None for the default one."""
    device: str = "cpu"
    checkpoint_s: float = 60.0
    """How many seconds of work a kill may cost, besides the experience in training."""
    tuned: Tuned | None = None
    """The study that chose the strategy's parameters."""
    model: str = ""
    """The model as `file.py:name`; empty for the name that the specification has."""
    keep_network: bool = False
    """Whether the network is stored beside the record."""

    @property
    def network(self) -> Model:
        """The model that the run's network is made by."""
        return models.get(self.model or self.spec.model.name)

    @property
    def store(self) -> Store:
        """Where the run's record, its log and its checkpoint lie."""
        return Store(self.out, self.board)
