"""Measures how soon, and how often for nothing, a trigger says that a stream has drifted: pure functions, no torch.

Time is counted in updates of the network. An alarm's step is the number of updates made when it was raised, and a drift
starts at step s when the batch of update s + 1 is the first with a sample of the new concept. So an alarm at s has not
seen the drift, and the shortest delay is 1.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean
from typing import Literal

from lifelong.errors import UsageError

DriftKind = Literal["abrupt", "gradual", "recurring"]
"""`abrupt`: all samples are of a new concept at once. `gradual`: more and more of them are. `recurring`: all are of an
earlier concept again."""

WINDOW = 200
"""For how many updates after a drift's end an alarm still belongs to it. That is our choice."""


@dataclass(frozen=True)
class Drift:
    """Is a change of what a stream shows (Gama et al. 2014, A survey on concept drift adaptation, doi:10.1145/2523813).

    Attributes:
        start: updates made on the old concept alone.
        end: updates made when the last batch with a sample of the old concept is over; `start` where the change is
            sudden and falls between two batches.
        kind: see `DriftKind`.
    """

    start: int
    end: int
    kind: DriftKind

    def __post_init__(self) -> None:
        if not 0 <= self.start <= self.end:
            raise UsageError(f"a drift from step {self.start} to step {self.end}: it cannot end before it starts")


@dataclass(frozen=True)
class Detection:
    """Tells what a trigger's alarms were worth.

    Attributes:
        delays: for each drift the updates from its start to its first alarm, at least 1; None where it was missed.
        mean_delay: over the drifts that were detected; None where none was.
        misses: drifts without an alarm.
        false_alarms: alarms that belong to no drift.
        false_alarms_per_10k: the same, for each 10,000 updates of the stationary stretches; None where there are none.
    """

    delays: tuple[int | None, ...]
    mean_delay: float | None
    misses: int
    false_alarms: int
    false_alarms_per_10k: float | None


def detection(alarms: Iterable[int], drifts: Sequence[Drift], steps: int, window: int = WINDOW) -> Detection:
    """Tell which alarms belong to which drift.

    To a drift belong the alarms after its start, up to `window` updates after its end or to the next drift's start,
    whichever comes first (our choice: the literature has no common rule). The first of them is its detection, and later
    ones are neither right nor wrong. All other alarms are false, and all other updates are stationary.

    Args:
        alarms: updates made when each was raised; several at one step are one alarm.
        drifts: in the order in which they start.
        steps: updates over the whole stream.
        window: at least 0.

    Raises:
        UsageError: if drifts overlap, or a drift or an alarm is not within the stream.

    >>> told = detection([5, 103, 150], [Drift(100, 100, "abrupt")], steps=1000)
    >>> told.delays, told.false_alarms
    ((3,), 1)
    """
    raised = sorted(set(alarms))
    _check(raised, drifts, steps, window)
    spans = _spans(drifts, steps, window)
    of_drift = [[alarm for alarm in raised if first < alarm <= last] for first, last in spans]
    delays = tuple(alarms[0] - first if alarms else None for alarms, (first, _) in zip(of_drift, spans, strict=True))
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
    """Return for each drift the steps between which alarms are its own, without the first and with the last."""
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
