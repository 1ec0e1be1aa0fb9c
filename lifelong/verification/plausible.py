"""Checks that a board's ceiling is above its floor, and that nobody is far above the ceiling."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lifelong.reporting.statistics.comparison import Comparison, compare
from lifelong.reporting.statistics.scores import Contest, Entrant
from lifelong.verification.finding import Finding

METRIC = "average_accuracy"
"""The metric that the ceiling bounds: a strategy that trains once, on everything, has nothing to forget."""
BEYOND = 0.02
"""How far above the ceiling the interval of a difference may begin, as a fraction. Our choice: ten times the most on
the published boards. A strategy that is further above it has more likely seen the test set than learned better from a
stream than from all of the data at once."""


def implausible(board: str, contests: Sequence[Contest]) -> Iterator[Finding]:
    """Yield what speaks against a board's scores.

    The ceiling must be above the floor. Where there are enough seeds for an interval of the paired differences, the
    interval decides; otherwise their mean. No contestant and no control may be above the ceiling with an interval that
    begins beyond `BEYOND`. References are left out, because they train on more data. Scenarios without a floor, a
    ceiling or an accuracy are left out too.
    """
    for contest in contests:
        where = f"{board} · {contest.scenario}"
        floors, ceilings = (_labels(contest, role) for role in ("floor", "ceiling"))
        for pair in _pairs(contest, ceilings, floors):
            if not _above(pair):
                yield Finding("floor and ceiling", where, f"{pair.first} is not above {pair.second}: {_told(pair)}")
        others = [*_labels(contest, "contestant"), *_labels(contest, "control")]
        for pair in _pairs(contest, others, ceilings):
            if pair.difference.low is not None and pair.difference.low > BEYOND:
                yield Finding("floor and ceiling", where, f"{pair.first} is far above {pair.second}: {_told(pair)}")


def _labels(contest: Contest, role: str) -> list[str]:
    def counts(entrant: Entrant) -> bool:
        return entrant.role == role and bool(entrant.matrices)

    return [entrant.label for entrant in contest.entrants if counts(entrant)]


def _pairs(contest: Contest, firsts: Sequence[str], seconds: Sequence[str]) -> list[Comparison]:
    pairs = [(first, second) for first in firsts for second in seconds]
    return compare([contest], METRIC, pairs) if pairs else []


def _above(pair: Comparison) -> bool:
    if pair.verdict == "too few seeds":
        return (pair.difference.mean or 0.0) > 0
    return pair.verdict == "better"


def _told(pair: Comparison) -> str:
    difference = pair.difference
    interval = "" if difference.low is None else f" [{difference.low:+.3f}, {difference.high:+.3f}]"
    return f"average accuracy {difference.mean:+.3f}{interval} over {difference.n} seeds"
