"""What a record tells besides R: functions that read one number off it, None where it has none."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from lifelong.errors import UsageError
from lifelong.measures.detection import Detection, Drift, detection

if TYPE_CHECKING:
    from lifelong.records.record import Record


def in_the_end(field: str) -> Callable[[Record], float | None]:
    """A field of the last capacity."""
    return lambda record: getattr(record.capacity[-1], field) if record.capacity else None


def last(field: str) -> Callable[[Record], float | None]:
    """A field of what was learned last."""
    return lambda record: getattr(record.learning[-1], field) if record.learning else None


def mean(field: str, share: float = 1.0) -> Callable[[Record], float | None]:
    """A field's mean over the last share of the experiences, and at least one; None where it is undefined for any."""

    def value(record: Record) -> float | None:
        chosen = record.learning[-max(1, round(share * len(record.learning))) :]
        values = [getattr(entry, field) for entry in chosen]
        return sum(values) / len(values) if values and None not in values else None

    return value


def units(*operators: str) -> Callable[[Record], float]:
    """How many units or synapses these operators changed."""
    return lambda record: sum(event.count for event in record.events if event.operator in operators)


def _detected(record: Record) -> Detection | None:
    """What the events were worth as alarms; None where there are no drifts that they could be compared with."""
    if not record.drifts or not record.capacity:
        return None
    drifts = [Drift(drift.start, drift.end, drift.kind) for drift in record.drifts]
    try:
        return detection([event.step for event in record.events], drifts, record.capacity[-1].steps)
    except UsageError:  # it made other updates than one for each batch of the stream
        return None


def detecting(field: str) -> Callable[[Record], float | None]:
    """A field of what the events were worth as alarms."""
    return lambda record: getattr(found, field) if (found := _detected(record)) else None


__all__ = ["detecting", "in_the_end", "last", "mean", "units"]
