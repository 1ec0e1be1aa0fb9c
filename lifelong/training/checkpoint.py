"""Taking up a run where it was killed, bit for bit.

Avalanche's own `save_checkpoint` raises `PicklingError` for every torch optimizer: torch deletes `torch.optim.sgd` and
its kind from the package, and dill then pickles the class by value. `cloudpickle` looks them up in `sys.modules`. The
images themselves stay out of the file; they are found again by name in the benchmark built anew.
"""

from __future__ import annotations

import io
import pickle
from dataclasses import dataclass, field
from pathlib import Path

import cloudpickle
from avalanche.training.templates import SupervisedTemplate

from lifelong.data.resident import Images
from lifelong.records.entries import Capacity, Learning
from lifelong.records.provenance import versions
from lifelong.records.store import write_whole
from lifelong.seeds import RandomState
from lifelong.training.meter import Meter


@dataclass
class Progress:
    """What a run has come to after some of its experiences."""

    strategy: SupervisedTemplate
    meter: Meter
    """One of the strategy's plug-ins."""
    accuracy: list[list[float | None]] = field(default_factory=list)
    capacity: list[Capacity] = field(default_factory=list)
    learning: list[Learning] = field(default_factory=list)
    train_s: list[float] = field(default_factory=list)
    eval_s: list[float] = field(default_factory=list)
    before_s: float = 0.0
    """Spent by processes that were killed, up to their last checkpoint."""
    resumed: int = 0


class _Pickler(cloudpickle.Pickler):
    def persistent_id(self, value: object) -> str | None:
        return value.name if isinstance(value, Images) else None


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, images: dict[str, Images]) -> None:
        super().__init__(file)
        self._images = images

    def persistent_load(self, name: str) -> Images:
        return self._images[name]


def save(path: Path, progress: Progress) -> None:
    """Write what a run has come to, with the random generators' states, whole or not at all.

    A strategy that cannot be pickled, or a disk that is full, costs the checkpoint and not the run.
    """
    content = io.BytesIO()
    try:
        _Pickler(content).dump((versions(), RandomState.now(), progress))
        write_whole(path, content.getvalue())
    except Exception as error:
        print(f"no checkpoint was written ({type(error).__name__}: {error}); going on without", flush=True)


def load(path: Path, images: dict[str, Images]) -> Progress | None:
    """What the run had come to, and the generators put back; None where there is nothing to go on from.

    A checkpoint that other versions of the libraries wrote, or that is damaged, is dropped: the run starts anew.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    try:
        written_by, state, progress = _Unpickler(io.BytesIO(content), images).load()
    except Exception as error:
        print(f"the checkpoint {path} cannot be read ({type(error).__name__}: {error}); starting anew")
        return None
    if written_by != versions() or not isinstance(progress, Progress):
        print(f"the checkpoint {path} was written by {written_by}; starting anew")
        return None
    state.restore()
    progress.resumed += 1
    return progress
