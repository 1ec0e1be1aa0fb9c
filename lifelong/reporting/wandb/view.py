"""Computes what W&B shows of a record: plain data, under the same keys and over the same axis for every run.

Row i of a run's history is what was known after experience i; row 0 is about the untrained network. The number i is the
row's `experience`, and its step. A value that is not defined is left out of the row.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from lifelong.measures.continual import (
    Matrix,
    average_so_far,
    backward_transfer_so_far,
    forgetting_so_far,
)
from lifelong.records.entries import Event
from lifelong.records.metrics import RUN_METRICS
from lifelong.records.record import Record

Item = TypeVar("Item")

VERSION = 2
"""The version of this view. Records that were sent under an older one are sent again."""

GROUPS = ("stream", "capacity", "structure", "learning", "time")
"""The first parts of the keys of a row."""

OPERATORS = (
    "grow",
    "split",
    "remove",
    "merge",
    "reset",
    "freeze",
    "unfreeze",
    "mark",
    "prune-synapses",
    "create-synapses",
    "reset-synapses",
    "insert-layer",
    "remove-layer",
)
"""The operators of `lifelong.plasticity`. All others are counted together, so that all runs have the same keys."""

MAX_ROWS = 10_000
"""The most rows of a table that W&B shows."""

Table = tuple[list[str], list[list[Any]]]
"""The names of the columns, and the rows."""


def config(record: Record, protocol: str | None) -> dict[str, Any]:
    """Return what runs are filtered and grouped by, on the first level, and the whole specification and provenance.

    Args:
        record: of any status.
        protocol: that of the scenario; None where it is not known.
    """
    return {
        "board": record.board,
        "scenario": record.spec.scenario.name,
        "strategy": record.spec.strategy.name,
        "protocol": protocol,
        "seed": record.spec.seed,
        "key": record.key,
        **record.model_dump(mode="json", include={"spec", "provenance"}),
    }


def history(record: Record) -> Iterator[dict[str, float]]:
    """Yield rows 0 to T; none where nothing was evaluated. Accuracies are fractions in [0, 1], times seconds."""
    R = record.matrix()
    if R is None:
        return
    T = R.shape[1]
    stream, changed = _stream(R), _changed(record, T)
    capacity = _by_row(record.capacity[1:], T) | dict(enumerate(record.capacity[:1]))
    learning = _by_row(record.learning, T)
    train_s = _by_row(record.times.train_s, T)
    eval_s = _by_row(record.times.eval_s[1:], T) | dict(enumerate(record.times.eval_s[:1]))
    for i in range(T + 1):
        row: dict[str, float | None] = {f"stream/{name}": curve[i] for name, curve in stream.items()}
        if i in capacity:
            row |= {f"capacity/{name}": value for name, value in capacity[i].model_dump().items()}
        if i in learning:
            row |= {f"learning/{name}": value for name, value in learning[i].model_dump(exclude={"unread"}).items()}
        row |= {f"structure/{name}": changed[i][name] for name in _STRUCTURE}
        row |= {"time/train_s": train_s.get(i), "time/eval_s": eval_s.get(i)}
        yield {"experience": i} | _defined(row)


def _stream(R: Matrix) -> dict[str, npt.NDArray[np.float64]]:
    """Curves of shape (T + 1,) by name: for the experience at hand R[i, i], the first R[i, 1], the next R[i, i + 1]."""
    untrained = [np.nan]
    return {
        "average_accuracy": np.r_[untrained, average_so_far(R)],
        "forgetting": np.r_[untrained, forgetting_so_far(R)],
        "backward_transfer": np.r_[untrained, backward_transfer_so_far(R)],
        "current_accuracy": np.r_[untrained, R[1:].diagonal()],
        "first_accuracy": R[:, 0],
        "next_accuracy": np.r_[R.diagonal(), np.nan],
    }


def _by_row(trainings: Sequence[Item], T: int) -> dict[int, Item]:
    """What each training left, by row: a training for each experience, or one for all, which ends with the last."""
    return dict(zip(range(T, 0, -1), reversed(trainings), strict=False))


_STRUCTURE = ("events", *(operator.replace("-", "_") for operator in OPERATORS), "other")


def _changed(record: Record, T: int) -> defaultdict[int, Counter[str]]:
    """How many units or synapses each operator changed, and the number of events, by row."""
    first = T - (len(record.capacity) - 1 if record.capacity else T) + 1
    changes: defaultdict[int, Counter[str]] = defaultdict(Counter)
    for event in record.events:
        operator = event.operator.replace("-", "_") if event.operator in OPERATORS else "other"
        changes[first + event.experience] += Counter({"events": 1, operator: event.count})
    return changes


def _defined(values: Mapping[str, float | None]) -> dict[str, float]:
    """The values that exist, as numbers of Python's own types."""
    return {
        name: value if isinstance(value, int) else float(value)
        for name, value in values.items()
        if value is not None and np.isfinite(value)
    }


def summary(record: Record) -> dict[str, Any]:
    """Return what came of the run in the end: each metric of `RUN_METRICS` that it has, its status and its times."""
    times, R = record.times, record.matrix()
    values = {name: metric(record, R) for name, metric in RUN_METRICS.items()} if R is not None else {}
    told = {
        "status": record.status,
        "error": record.error,
        "setup_s": times.setup_s,
        "train_s": sum(times.train_s),
        "eval_s": sum(times.eval_s),
        "total_s": times.total_s,
        "peak_memory_mb": record.peak_memory_mb,
        "structural_events": len(record.events),
        "structural_events_shown": min(len(record.events), MAX_ROWS),
    }
    return _defined(values) | {name: value for name, value in told.items() if value is not None}


def tables(record: Record) -> dict[str, Table]:
    """Return R as `accuracy`, and the first `MAX_ROWS` structural events as `events`."""
    accuracy = record.accuracy or []
    experiences = [f"experience {j:02d}" for j in range(1, len(accuracy))]
    names = list(Event.model_fields)
    return {
        "accuracy": (["after experience", *experiences], [[i, *row] for i, row in enumerate(accuracy)]),
        "events": (names, [[getattr(event, name) for name in names] for event in record.events[:MAX_ROWS]]),
    }
