"""Tells what a comparison leaves out: entrants without a value, and seeds whose runs failed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from lifelong.records.metrics import RUN_METRICS
from lifelong.reporting.statistics.comparison import Comparison
from lifelong.reporting.statistics.scores import Contest

NAMED = 5
"""The strategies that have not run are named up to this number; more are counted."""


def holes(
    comparisons: Sequence[Comparison], contests: Sequence[Contest], metrics: Sequence[str], labels: Sequence[str]
) -> Iterator[str]:
    """Yield a sentence for each hole.

    Args:
        comparisons: what could be compared.
        contests: the records that they were made of.
        metrics: the metrics by which all should be compared.
        labels: the entrants that should be compared.
    """
    yield from _failed(contests, labels)
    yield from not_run(contests, labels)
    if not comparisons:
        return
    ran = [label for label in labels if _has_run(label, contests)]
    there: dict[tuple[str, str], set[str]] = defaultdict(set)
    for one in comparisons:
        there[one.metric, one.scenario] |= {one.first, one.second}
    for metric in metrics:
        for contest in contests:
            present = there[metric, contest.scenario]
            where = f"{contest.scenario}, {RUN_METRICS[metric].title.lower()}"
            if not present:
                yield f"{where}: no two have a value for the same seed"
            elif absent := [label for label in ran if label not in present]:
                yield f"{where}: no value for a shared seed: {', '.join(absent)}"


def not_run(contests: Sequence[Contest], labels: Sequence[str]) -> Iterator[str]:
    """Yield a sentence on the entrants that have no record at all, by name where they are few."""
    if waiting := [label for label in labels if not _has_run(label, contests)]:
        yield f"not run yet: {', '.join(waiting) if len(waiting) <= NAMED else f'{len(waiting)} strategies'}"


def _has_run(label: str, contests: Sequence[Contest]) -> bool:
    return any(entrant.records for contest in contests for entrant in contest.entrants if entrant.label == label)


def _failed(contests: Sequence[Contest], labels: Sequence[str]) -> Iterator[str]:
    for contest in contests:
        for entrant in contest.entrants:
            failed = [str(record.spec.seed) for record in entrant.records if not record.ok]
            if failed and entrant.label in labels:
                seeds = "seed" if len(failed) == 1 else "seeds"
                yield f"{contest.scenario}: {entrant.label} failed on {seeds} {', '.join(failed)}: no pairs of these"
