"""Measures how soon a trigger notices that a stream has drifted, and how often it is wrong: pure functions, no torch.

Time is counted in updates of the network. The step of an alarm is the number of updates made when it was raised. A
drift starts at step s if the batch of update s + 1 is the first that holds a sample of the new concept. So an alarm at
step s has not seen the drift yet, and the shortest delay is 1.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean
from typing import Literal

from lifelong.errors import UsageError

DriftKind = Literal["abrupt", "gradual", "recurring"]
"""`abrupt`: all samples are of a new concept at once. `gradual`: more and more of them are. `recurring`: all samples
are of an earlier concept again."""

WINDOW = 200
"""An alarm up to so many updates after the end of a drift still belongs to it. Our choice."""


@dataclass(frozen=True)
class Drift:
    """Describes a change in what a stream shows (Gama et al. 2014, doi:10.1145/2523813).

    Attributes:
        start: the number of updates made on the old concept alone.
        end: the number of updates made when the last batch with a sample of the old concept is over. It equals `start`
            if the change is sudden and falls between two batches.
        kind: how the concept changes.

    Raises:
        UsageError: if it ends before it starts, or starts before step 0.
    """

    start: int
    end: int
    kind: DriftKind

    def __post_init__(self) -> None:
        if not 0 <= self.start <= self.end:
            raise UsageError(f"a drift from step {self.start} to step {self.end}: it cannot end before it starts")


@dataclass(frozen=True)
class Detection:
    """Says what a trigger's alarms were worth.

    Attributes:
        delays: for each drift, the updates from its start to its first alarm, at least 1; None if it was missed.
        mean_delay: the mean delay, in updates, over the drifts that were detected; None if none was.
        misses: the number of drifts without an alarm.
        false_alarms: the number of alarms that belong to no drift.
        false_alarms_per_10k: the false alarms in 10,000 stationary updates; None if no update is stationary.
    """

    delays: tuple[int | None, ...]
    mean_delay: float | None
    misses: int
    false_alarms: int
    false_alarms_per_10k: float | None


def detection(alarms: Iterable[int], drifts: Sequence[Drift], steps: int, window: int = WINDOW) -> Detection:
    """Tell which alarms belong to which drift, and what they were worth.

    An alarm belongs to a drift if it is raised after the start of the drift, and no later than `window` updates after
    its end or at the start of the next drift, whichever comes first. (This is our choice, because the literature has no
    common rule.) The first alarm of a drift detects it; its later alarms are neither right nor wrong. All other alarms
    are false, and all other updates are stationary.

    >>> detection([50, 130], [Drift(100, 100, "abrupt")], steps=1300)
    Detection(delays=(30,), mean_delay=30.0, misses=0, false_alarms=1, false_alarms_per_10k=9.090909090909092)

    Args:
        alarms: the steps of the alarms; several at one step are one alarm.
        drifts: the drifts, in the order in which they start.
        steps: the number of updates over the whole stream.
        window: how many updates after its end a drift can still be detected; at least 0.

    Raises:
        UsageError: if drifts overlap, if a drift or an alarm is not within the stream, or if `window` is below 0.
    """
    raised = sorted(set(alarms))
    _check(raised, drifts, steps, window)
    spans = _spans(drifts, steps, window)
    of_drift = [[alarm for alarm in raised if first < alarm <= last] for first, last in spans]
    delays = tuple(own[0] - first if own else None for own, (first, _) in zip(of_drift, spans, strict=True))
    known = [delay for delay in delays if delay is not None]
    stationary = steps - sum(last - first for first, last in spans)
    false = len(raised) - sum(map(len, of_drift))
    return Detection(
        delays=delays,
        mean_delay=fmean(known) if known else None,
        misses=delays.count(None),
        false_alarms=false,
        false_alarms_per_10k=10_000 * false / stationary if stationary else None,
    )


def _spans(drifts: Sequence[Drift], steps: int, window: int) -> list[tuple[int, int]]:
    """Return for each drift the steps after which, and up to which, alarms are its own."""
    starts = [*(drift.start for drift in drifts), steps]
    return [(one.start, min(one.end + window, limit)) for one, limit in zip(drifts, starts[1:], strict=True)]


def _check(raised: Sequence[int], drifts: Sequence[Drift], steps: int, window: int) -> None:
    if window < 0:
        raise UsageError(f"window = {window}: the least is 0")
    for one, other in pairwise(drifts):
        if other.start < one.end or other.start <= one.start:
            raise UsageError(f"the drift that starts at step {other.start} does not come after the one at {one.start}")
    if drifts and drifts[-1].end > steps:
        raise UsageError(f"a drift ends at step {drifts[-1].end} of a stream of {steps}")
    if raised and not 0 <= raised[0] <= raised[-1] <= steps:
        raise UsageError(f"alarms from step {raised[0]} to {raised[-1]} are not all within a stream of {steps}")
