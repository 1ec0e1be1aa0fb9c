"""Checks that all that one record holds can be true at once. Each check yields a sentence for what cannot."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import groupby, islice, pairwise
from typing import Literal

from lifelong.contracts import Scored
from lifelong.records.record import Record

CUMULATIVE = ("steps", "samples", "training_macs")
ROUNDING = 1e-9
"""The rounding error of a mean over steps, as a share of it."""
MOST = 10
"""How many contradictions of one record are told: what else is wrong mostly follows from them."""


Evaluated = Scored | Literal["nothing"]
"""Which test sets have an accuracy; in a regression none has."""


def contradictions(record: Record, scored: Evaluated | None = None, offline: bool | None = None) -> list[str]:
    """Tell what cannot be true in the record of a run that is ok. A failed run claims nothing.

    Args:
        record: the record of any run.
        scored: which test sets the scenario has scored; None where that is not known.
        offline: whether the strategy trains once, on the whole stream; None where that is not known.
    """
    if not record.ok or record.accuracy is None:
        return []
    trained_once = len(record.learning) == 1 if offline is None else offline
    # what a later check says would only follow from what an earlier one has found
    wrong = [*_lengths(record, trained_once), *_matrix(record.accuracy, scored, trained_once)]
    wrong = wrong or list(islice((sentence for check in CHECKS for sentence in check(record)), MOST))
    return wrong or list(_sizes(record))


def _lengths(record: Record, trained_once: bool) -> Iterator[str]:
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
    """Check that R holds what the suite evaluates: all, the experience just learned, or, in a regression, nothing."""
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
    """Check that what counts the training so far starts at zero and never falls."""
    for name in CUMULATIVE:
        counts = [getattr(entry, name) for entry in record.capacity]
        if counts[0] != 0:
            yield f"capacity.0.{name} = {counts[0]} before any training"
        for index, (before, after) in enumerate(pairwise(counts), start=1):
            if after < before:
                yield f"capacity.{index}.{name} = {after} falls below {before}"


def _live(record: Record) -> Iterator[str]:
    """Check that what is not pruned is a part of the whole."""
    for index, entry in enumerate(record.capacity):
        for part, whole in (("live_parameters", "parameters"), ("live_macs", "macs")):
            if getattr(entry, part) > getattr(entry, whole):
                yield f"capacity.{index}.{part} is above {whole}"


def _averages(record: Record) -> Iterator[str]:
    """Check that a mean lies between the least and the largest of what was seen."""
    told = [size for event in record.events for size in (event.parameters_before, event.parameters_after)]
    sizes = [entry.parameters for entry in record.capacity] + told
    low, high = min(sizes) * (1 - ROUNDING), max(sizes) * (1 + ROUNDING)
    for index, entry in enumerate(record.capacity):
        if not low <= entry.average_parameters <= high:
            yield f"capacity.{index}.average_parameters is not between the least and the largest number of parameters"


def _events(record: Record) -> Iterator[str]:
    """Check that events happen in order, each in its experience."""
    ends = [entry.steps for entry in record.capacity]
    for index, event in enumerate(record.events):
        if index and event.step < record.events[index - 1].step:
            yield f"events.{index} is out of order"
        if event.experience >= len(ends) - 1:
            yield f"events.{index} is of experience {event.experience}, of {len(ends) - 1} from 0"
        elif not ends[event.experience] <= event.step <= ends[event.experience + 1]:
            yield f"events.{index} at step {event.step} is not within experience {event.experience}"


def _sizes(record: Record) -> Iterator[str]:
    """Check that each event begins with the size that the last one left, and that what is left is what is measured.

    Before the first event of an experience, a new task may have brought a head. Events of one step may come from
    several plug-ins, one plug-in after the other, so that only their sum is looked at.
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
    """Check that drifts come one after the other, within the stream."""
    end = 0
    for index, drift in enumerate(record.drifts):
        if not end <= drift.start <= drift.end <= record.capacity[-1].steps:
            yield f"drifts.{index} is out of order"
        end = drift.end


CHECKS: tuple[Callable[[Record], Iterator[str]], ...] = (_growing, _live, _averages, _events, _drifts)
