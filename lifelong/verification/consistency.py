"""Checks whether all that one record holds can be true at once. Each check yields a sentence for each contradiction."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import groupby, islice, pairwise
from typing import Literal

from lifelong.contracts import Scored
from lifelong.records.record import Record

CUMULATIVE = ("steps", "samples", "training_macs")
ROUNDING = 1e-9
"""The largest relative rounding error that a mean over steps may have."""
MOST = 10
"""The most contradictions that are told of one record; further ones mostly follow from these."""

Evaluated = Scored | Literal["nothing"]
"""Which test sets have an accuracy: all, the one just learned, or, in a regression, none."""


def contradictions(record: Record, scored: Evaluated | None = None, offline: bool | None = None) -> list[str]:
    """Return what cannot be true in the record of a run that is ok; a failed run claims nothing.

    Args:
        record: the record of any run.
        scored: which test sets the scenario has scored; None where that is not known.
        offline: whether the strategy trains once, on the whole stream; None where that is not known.
    """
    if not record.ok or record.accuracy is None:
        return []
    trained_once = len(record.learning) == 1 if offline is None else offline
    # Each stage assumes that the one before it found nothing: lengths and holes, then single facts, then their chain.
    sentences = [*_lengths(record, trained_once), *_matrix(record.accuracy, scored, trained_once)]
    sentences = sentences or list(islice((sentence for check in CHECKS for sentence in check(record)), MOST))
    return sentences or list(_sizes(record))


def _lengths(record: Record, trained_once: bool) -> Iterator[str]:
    """Yield lists whose length does not fit the number of trainings."""
    assert record.accuracy is not None
    experiences = len(record.accuracy) - 1
    trainings = 1 if trained_once else experiences
    for name, length, expected in (
        ("experiences", experiences, max(1, experiences)),
        ("capacity", len(record.capacity), trainings + 1),
        ("learning", len(record.learning), trainings),
        ("times.train_s", len(record.times.train_s), trainings),
        ("times.eval_s", len(record.times.eval_s), trainings + 1),
    ):
        if length != expected:
            yield f"{name}: {length} entries, where {trainings} trainings leave {expected}"


def _matrix(R: list[list[float | None]], scored: Evaluated | None, trained_once: bool) -> Iterator[str]:
    """Yield the first entry of R that is missing, or that the suite cannot have evaluated (see `Evaluated`)."""
    here = {(i, j) for i, row in enumerate(R) for j, entry in enumerate(row) if entry is not None}
    experiences = range(len(R) - 1)
    evaluated = (0, len(R) - 1) if trained_once else range(len(R))
    patterns: dict[Evaluated, set[tuple[int, int]]] = {
        "nothing": set(),
        "all": {(i, j) for i in evaluated for j in experiences},
        "current": {(j + 1, j) for j in experiences},
    }
    if here in ([patterns[scored]] if scored else patterns.values()):
        return
    wanted = patterns[scored or "all"]
    i, j = min(wanted ^ here)
    yield f"R[{i}, {j + 1}] " + ("is missing" if (i, j) in wanted else "cannot have been evaluated")


def _growing(record: Record) -> Iterator[str]:
    """Yield counts of the training so far that do not start at zero, or that fall."""
    for name in CUMULATIVE:
        counts = [getattr(entry, name) for entry in record.capacity]
        if counts[0] != 0:
            yield f"capacity.0.{name} = {counts[0]} before any training"
        for index, (before, after) in enumerate(pairwise(counts), start=1):
            if after < before:
                yield f"capacity.{index}.{name} = {after} falls below {before}"


def _live(record: Record) -> Iterator[str]:
    """Yield counts of what is not pruned that are larger than the whole."""
    for index, entry in enumerate(record.capacity):
        for part, whole in (("live_parameters", "parameters"), ("live_macs", "macs")):
            if getattr(entry, part) > getattr(entry, whole):
                yield f"capacity.{index}.{part} is above {whole}"


def _averages(record: Record) -> Iterator[str]:
    """Yield average sizes that do not lie between the least and the largest size."""
    changed = [size for event in record.events for size in (event.parameters_before, event.parameters_after)]
    sizes = [entry.parameters for entry in record.capacity] + changed
    low, high = min(sizes) * (1 - ROUNDING), max(sizes) * (1 + ROUNDING)
    for index, entry in enumerate(record.capacity):
        if not low <= entry.average_parameters <= high:
            yield f"capacity.{index}.average_parameters is not between the least and the largest number of parameters"


def _events(record: Record) -> Iterator[str]:
    """Yield events that are out of order, or outside of their experience."""
    ends = [entry.steps for entry in record.capacity]
    for index, event in enumerate(record.events):
        if index and event.step < record.events[index - 1].step:
            yield f"events.{index} is out of order"
        if event.experience >= len(ends) - 1:
            yield f"events.{index} is of experience {event.experience}, of {len(ends) - 1} from 0"
        elif not ends[event.experience] <= event.step <= ends[event.experience + 1]:
            yield f"events.{index} at step {event.step} is not within experience {event.experience}"


def _sizes(record: Record) -> Iterator[str]:
    """Yield where the sizes that an experience's events state do not join up.

    Each event starts from the size that the one before it left, and the last leaves the size measured after the
    experience. Before the first event a new task may have added a head, so the network may have grown. The events of
    one step may come from several plug-ins and are not in the order in which they happened, so only their sum counts.
    """
    ordered = sorted(record.events, key=lambda event: (event.experience, event.step))
    for experience, events in groupby(ordered, lambda event: event.experience):
        before, after = record.capacity[experience].parameters, record.capacity[experience + 1].parameters
        size = before
        for index, (step, group) in enumerate(groupby(events, lambda event: event.step)):
            same = list(group)
            starts = [event.parameters_before for event in same]
            if index == 0 and size < min(starts):
                size = starts[0]
            if size not in starts:
                yield f"at step {step} {starts[0]} parameters are changed, after {size} were left"
                return
            size += sum(event.parameters_after - event.parameters_before for event in same)
        if size != after:
            yield f"experience {experience} ends with {after} parameters, after {size} were left"


def _drifts(record: Record) -> Iterator[str]:
    """Yield drifts that overlap, are out of order, or are outside of the stream."""
    end = 0
    for index, drift in enumerate(record.drifts):
        if not end <= drift.start <= drift.end <= record.capacity[-1].steps:
            yield f"drifts.{index} is out of order"
        end = drift.end


CHECKS: tuple[Callable[[Record], Iterator[str]], ...] = (_growing, _live, _averages, _events, _drifts)
