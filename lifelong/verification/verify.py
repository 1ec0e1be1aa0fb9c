"""Checks whether results are what they claim to be: each record by itself, then the records of each board together.

Nothing is run, and nothing but JSON is read. Boards come from the installation or from the person who asks, never from
the place that is verified.
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
from lifelong.records.sources import Located, existing, records_in
from lifelong.records.store import Store, below
from lifelong.registry import boards, scenarios, strategies
from lifelong.verification.completeness import on_board
from lifelong.verification.consistency import Evaluated, contradictions
from lifelong.verification.finding import Finding


@dataclass(frozen=True)
class Verification:
    """Says what was verified, and what was found.

    Attributes:
        records: the number of records.
        boards: the names of boards that the records give.
        plans: the plan of each board that is known, by its name, compared with the records of the place.
        findings: the facts that were found.
    """

    records: int
    boards: tuple[str, ...]
    plans: Mapping[str, Plan]
    findings: tuple[Finding, ...]


def verify(place: Path, given: Sequence[str] = ()) -> Verification:
    """Check the records of a place.

    Args:
        place: a folder or a file of records (see `records_in`).
        given: `.toml` files of boards that are not installed.

    Raises:
        UsageError: if there is no such place, no record in it, or a board cannot be read.
    """
    place = existing(place)
    findings: list[Finding] = []
    by_board: dict[str, list[tuple[Record, Located]]] = defaultdict(list)
    for located in records_in(place):
        findings += _of_file(located, in_a_folder=place.is_dir())
        if located.record is not None:
            by_board[located.record.board].append((located.record, located))
    if not by_board and not findings:
        raise UsageError(f"no records in {place}")
    if place.is_dir():
        findings += _unsettled(place)
    known = {board.name: board for board in map(load_board, given)}
    plans = {}
    for name, records in sorted(by_board.items()):
        board = known.get(name) or (load_board(name) if name in boards() else None)
        if board is None:
            findings.append(Finding("boards", name, "not known here: give its file with --board", "note"))
        else:
            plans[name] = make_plan(board, Wishes(), AtHand([record for record, _ in records]))
        findings += on_board(name, records, plans.get(name))
    return Verification(sum(map(len, by_board.values())), tuple(map(plain, sorted(by_board))), plans, tuple(findings))


def _of_file(located: Located, in_a_folder: bool) -> Iterator[Finding]:
    """Yield what is wrong with one record, whatever the others say."""
    if located.record is None:
        yield Finding("schema", located.where, located.reason)
        return
    expected = Store(Path(), located.record.board).path(located.record.spec)
    if in_a_folder and located.line is None and located.path.absolute().parts[-4:] != expected.parts:
        yield Finding("keys", located.where, f"belongs at {expected}")
    for sentence in contradictions(located.record, *_known(located.record)):
        yield Finding("consistency", located.where, sentence)


def _known(record: Record) -> tuple[Evaluated | None, bool | None]:
    """Return which test sets are scored, and whether training is offline; None for each that is not installed.

    A user's own file is not loaded, because nothing of a stranger's is run.
    """
    scenario = scenarios.all().get(record.spec.scenario.name) if record.spec.scenario.code_sha256 is None else None
    strategy = strategies.all().get(record.spec.strategy.name) if record.spec.strategy.code_sha256 is None else None
    scored: Evaluated | None = scenario.scored if scenario else None
    if scenario and scenario.criterion != "cross-entropy":
        scored = "nothing"
    return scored, strategy.offline if strategy else None


def _unsettled(place: Path) -> Iterator[Finding]:
    """Yield the conflicts that `lifelong merge` left beside records."""
    for path in below(place, "*.conflict-*"):
        yield Finding("conflicts", str(path), "another result of the same run: find out which is right")
