"""Checkpoints, by which a run that was killed goes on with the same bits as if it had not been.

Avalanche's own `save_checkpoint` raises `PicklingError` for every torch optimizer: torch deletes modules such as
`torch.optim.sgd` from its package, and dill then pickles the class by value. `cloudpickle` looks the modules up in
`sys.modules`. The images stay out of the file. They are found again by name in the benchmark, which is built anew.
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
    """The state of a run after some of its experiences."""

    strategy: SupervisedTemplate
    meter: Meter
    """The meter, which is one of the strategy's plug-ins."""
    accuracy: list[list[float | None]] = field(default_factory=list)
    capacity: list[Capacity] = field(default_factory=list)
    learning: list[Learning] = field(default_factory=list)
    train_s: list[float] = field(default_factory=list)
    eval_s: list[float] = field(default_factory=list)
    before_s: float = 0.0
    """The seconds that processes which were killed had spent up to their last checkpoint."""
    resumed: int = 0
    """How often the run was resumed."""


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
    """Write a run's progress and the states of the random generators, either whole or not at all.

    If the strategy cannot be pickled, or the disk is full, the run goes on without a checkpoint.
    """
    content = io.BytesIO()
    try:
        _Pickler(content).dump((versions(), RandomState.now(), progress))
        write_whole(path, content.getvalue())
    except Exception as error:
        print(f"no checkpoint was written ({type(error).__name__}: {error}); the run goes on without one", flush=True)


def load(path: Path, images: dict[str, Images]) -> Progress | None:
    """Read a run's progress, and put back the states of the random generators.

    A checkpoint that is damaged, or that other versions of the libraries wrote, is not used: the run starts anew.

    Args:
        path: the checkpoint's file.
        images: the benchmark's sets of images by name.

    Returns:
        The progress; None where there is no checkpoint that can be used.
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
