"""Whether results are what they claim to be: every record for itself, then each board's together.

Nothing is run and nothing but JSON is read; boards come from the installation or from whoever asks, never from the
place that is verified.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lifelong.boards.board import load_board
from lifelong.boards.plan import AtHand, Plan, Wishes, make_plan
from lifelong.errors import UsageError
from lifelong.records.bounds import plain
from lifelong.records.record import Record
from lifelong.records.sources import Found, existing, find
from lifelong.records.store import Store, below
from lifelong.registry import boards, scenarios, strategies
from lifelong.verification.completeness import on_board
from lifelong.verification.consistency import Evaluated, contradictions
from lifelong.verification.finding import Finding


@dataclass(frozen=True)
class Verification:
    """What was verified, and what was found."""

    records: int
    boards: tuple[str, ...]
    """The names that the records give."""
    plans: Mapping[str, Plan]
    """By the name of each board that is known, with the records that lie there."""
    findings: tuple[Finding, ...]


def verify(place: Path, given: Sequence[str] = ()) -> Verification:
    """Check the records of a place.

    Args:
        place: see `find`.
        given: boards beside the installed ones, as `.toml` files.

    Raises:
        UsageError: if there is no such place, no record in it, or a board cannot be read.
    """
    place = existing(place)
    findings: list[Finding] = []
    held: dict[str, list[tuple[Record, Found]]] = defaultdict(list)
    for found in find(place):
        findings += _of_file(found, in_a_folder=place.is_dir())
        if found.record is not None:
            held[found.record.board].append((found.record, found))
    if not held and not findings:
        raise UsageError(f"no records in {place}")
    if place.is_dir():
        findings += _unsettled(place)
    known = {board.name: board for board in map(load_board, given)}
    plans = {}
    for name, records in sorted(held.items()):
        board = known.get(name) or (load_board(name) if name in boards() else None)
        if board is None:
            findings.append(Finding("boards", name, "not known here: give its file with --board", "note"))
        else:
            plans[name] = make_plan(board, Wishes(), AtHand([record for record, _ in records]))
        findings += on_board(name, records, plans.get(name))
    return Verification(sum(map(len, held.values())), tuple(map(plain, sorted(held))), plans, tuple(findings))


def _of_file(found: Found, in_a_folder: bool) -> Iterator[Finding]:
    """What one record tells against itself."""
    if found.record is None:
        yield Finding("schema", found.where, found.reason)
        return
    expected = Store(Path(), found.record.board).path(found.record.spec)
    if in_a_folder and found.line is None and found.path.absolute().parts[-4:] != expected.parts:
        yield Finding("keys", found.where, f"belongs at {expected}")
    for sentence in contradictions(found.record, *_known(found.record)):
        yield Finding("consistency", found.where, sentence)


def _known(record: Record) -> tuple[Evaluated | None, bool | None]:
    """What is scored and whether training is offline, of what is installed; a user's own file is not loaded for it."""
    scenario = scenarios.all().get(record.spec.scenario.name) if record.spec.scenario.code_sha256 is None else None
    strategy = strategies.all().get(record.spec.strategy.name) if record.spec.strategy.code_sha256 is None else None
    scored: Evaluated | None = scenario.scored if scenario else None
    if scenario and scenario.criterion != "cross-entropy":
        scored = "nothing"
    return scored, strategy.offline if strategy else None


def _unsettled(place: Path) -> Iterator[Finding]:
    for path in below(place, "*.conflict-*"):
        yield Finding("conflicts", str(path), "another result of the same run: find out which is right")
