"""Checks that a board's ceiling is above its floor, and that nobody stands above the ceiling."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lifelong.reporting.statistics.comparison import Comparison, compare
from lifelong.reporting.statistics.scores import Contest, Entrant
from lifelong.verification.finding import Finding

METRIC = "average_accuracy"
"""What the ceiling is a ceiling of. It is none of forgetting: who trains once, on everything, has nothing to forget."""
BEYOND = 0.02
"""By how much anyone may surely be above the ceiling. This is our choice: ten times what anyone reaches on the
published boards. Who is above it by more has more likely seen the test set than learned better from a stream than from
all of it at once."""


def implausible(board: str, contests: Sequence[Contest]) -> Iterator[Finding]:
    """Find what speaks against a board's scores.

    The ceiling must be above the floor: by an interval of the paired differences where there are seeds enough for one,
    else in the mean. A contestant or a control must not be above the ceiling with an interval that begins beyond
    `BEYOND`. References are left out: they train on more. So are scenarios without a floor, a ceiling or an accuracy.
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
