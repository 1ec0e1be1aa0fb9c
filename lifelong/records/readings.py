"""Functions that read one number from a record, besides R. They return None where the record has no such number."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from lifelong.errors import UsageError
from lifelong.measures.detection import Detection, Drift, detection

if TYPE_CHECKING:
    from lifelong.records.record import Record


def in_the_end(field: str) -> Callable[[Record], float | None]:
    """Read a field of the last capacity."""
    return lambda record: getattr(record.capacity[-1], field) if record.capacity else None


def last(field: str) -> Callable[[Record], float | None]:
    """Read a field of the last entry of `learning`."""
    return lambda record: getattr(record.learning[-1], field) if record.learning else None


def mean(field: str, share: float = 1.0) -> Callable[[Record], float | None]:
    """Read the mean of a field of `learning` over the last experiences; None where one of them has no value.

    Args:
        field: the name of the field.
        share: which share of the experiences, in (0, 1]; at least one experience is taken.
    """

    def value(record: Record) -> float | None:
        chosen = record.learning[-max(1, round(share * len(record.learning))) :]
        values = [getattr(entry, field) for entry in chosen]
        return sum(values) / len(values) if values and None not in values else None

    return value


def units(*operators: str) -> Callable[[Record], float]:
    """Count the units or synapses that some operators changed."""
    return lambda record: sum(event.count for event in record.events if event.operator in operators)


def _detected(record: Record) -> Detection | None:
    """Judge the events as alarms of drift; return None where there are no drifts to compare them with."""
    if not record.drifts or not record.capacity:
        return None
    drifts = [Drift(drift.start, drift.end, drift.kind) for drift in record.drifts]
    try:
        return detection([event.step for event in record.events], drifts, record.capacity[-1].steps)
    except UsageError:  # the strategy did not make one update for each batch of the stream
        return None


def detecting(field: str) -> Callable[[Record], float | None]:
    """Read a field of the `Detection` that the events come to as alarms of drift."""
    return lambda record: getattr(detected, field) if (detected := _detected(record)) else None
