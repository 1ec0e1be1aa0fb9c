"""Computes what one run's stream is drawn of: accuracy, structural events and capacity over training steps."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from lifelong.measures.continual import average_so_far
from lifelong.records.entries import Event
from lifelong.records.record import Record
from lifelong.reporting.charts.rows import Row

MARKS = 300
"""The most marks of a run. With more, those of near steps are summed, if operator and trigger are the same."""

LAYERS = 4
"""Layers that a mark names; more are counted."""


def stream(record: Record) -> list[Row]:
    """Return rows of the kinds `accuracy`, `capacity` and `event`, each kind in the order of steps."""
    return [*_accuracies(record), *_capacities(record), *events(record)]


def events(record: Record) -> list[Row]:
    """Return the structural events; those of one operator and trigger at one step are summed over layers."""
    buckets: dict[tuple[int, str, str], list[Event]] = defaultdict(list)
    width = _width(record.events)
    for event in record.events:
        buckets[event.step // width, event.operator, event.trigger].append(event)
    curve = _accuracies(record)
    rows = sorted((_summed(bucket) for bucket in buckets.values()), key=lambda row: row["step"])
    for row in rows:
        row["accuracy"] = _at(row["step"], curve)
    return rows


def _width(events: Sequence[Event]) -> int:
    """The number of steps that share a mark, doubled until there are at most `MARKS`."""
    width = 1
    while len({(event.step // width, event.operator, event.trigger) for event in events}) > MARKS:
        if width > max(event.step for event in events):
            break
        width *= 2
    return width


def _summed(events: Sequence[Event]) -> Row:
    first, last = events[0], events[-1]
    return {
        "kind": "event",
        "step": first.step,
        "trigger": first.trigger,
        "layer": _layers(events),
        "operator": first.operator,
        "count": sum(event.count for event in events),
        "value": first.value if len({event.value for event in events}) == 1 else None,
        "events": len(events),
        "parameters_before": first.parameters_before,
        "parameters_after": last.parameters_after,
    }


def _layers(events: Iterable[Event]) -> str:
    """How much was changed where: `features.fc1 (10), features.fc2 (4)`."""
    counts: Counter[str] = Counter()
    for event in events:
        counts[event.layer] += event.count
    named = [f"{layer} ({count})" for layer, count in list(counts.items())[:LAYERS]]
    more = len(counts) - len(named)
    return ", ".join(named) + (f" and {more} more" if more else "")


def _accuracies(record: Record) -> list[Row]:
    """The average accuracy so far at the end of each experience; of a run that trained once, at its end."""
    R = record.matrix()
    if R is None or not record.capacity:
        return []
    T = R.shape[1]
    trained = range(1, T + 1) if len(record.capacity) == T + 1 else [T]
    averages = average_so_far(R)
    return [
        {"kind": "accuracy", "step": capacity.steps, "experience": i, "accuracy": float(averages[i - 1])}
        for i, capacity in zip(trained, record.capacity[-len(trained) :], strict=True)
        if np.isfinite(averages[i - 1])
    ]


def _at(step: int, curve: Sequence[Row]) -> float | None:
    """The accuracy where the curve passes a step; before the first point of the curve, that of this point."""
    if not curve:
        return None
    return float(np.interp(step, [row["step"] for row in curve], [row["accuracy"] for row in curve]))


def _capacities(record: Record) -> Iterator[Row]:
    """The parameters at each step where they change, and at the end."""
    known = [(capacity.steps, capacity.parameters) for capacity in record.capacity]
    known += [(event.step, event.parameters_after) for event in record.events]
    steps = sorted(dict(sorted(known, key=lambda at: at[0])).items())  # of several at one step, the last
    width = _width(record.events)
    previous = None
    for k, (step, parameters) in enumerate(steps):
        is_last = k == len(steps) - 1
        if is_last or (parameters != previous and steps[k + 1][0] // width != step // width):
            yield {"kind": "capacity", "step": step, "parameters": parameters}
            previous = parameters
