"""Finds the records that a command shows: one's own, a published file's, or those that come with the package."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from lifelong.commands.console import say
from lifelong.commands.options import RESULTS, Source

if TYPE_CHECKING:
    from lifelong.boards.board import Board
    from lifelong.boards.plan import Plan, Wishes
    from lifelong.contracts import Role
    from lifelong.records.record import Record
    from lifelong.records.store import Store
    from lifelong.reporting.statistics.scores import Contest


@dataclass(frozen=True)
class Results:
    """Holds the records of a board that a command shows.

    Attributes:
        plan: the board's plan, compared with the records.
        records: the records that its tables show.
        origin: where the records come from, in a few words; empty for one's own.
    """

    plan: Plan
    records: list[Record] = field(repr=False)
    origin: str = ""

    @property
    def board(self) -> Board:
        return self.plan.board

    def contests(self) -> list[Contest]:
        """Return the records, arranged for comparison."""
        from lifelong.reporting.statistics.scores import contests

        return contests(self.records, roles(), self.plan.cells if self.records else ())


def results_of(name: str, wishes: Wishes, source: Source) -> Results:
    """Find the records of a board; say on stderr what is missing or left out, and if they are not one's own.

    Args:
        name: the board's name, or its file.
        wishes: what the user asked for. Where it names strategies, only these take part, with floor and ceiling.
        source: where the records are. Where it names no place and there are no own records, the records that were
            published with the board are used instead.

    Raises:
        UsageError: if a name, a parameter or a file is wrong.
    """
    if source.published is not None:
        plan, origin = _of_file(name, wishes, source.published), f"from {source.published.name}"
        records = _ranked(plan, wishes)
    else:
        (plan, store), origin = planned(name, wishes, source.out or RESULTS), ""
        say_damaged(plan, store)
        records = _ranked(plan, wishes)
        if source.out is None and not records and (file := published_with(name)):
            published = _of_file(name, wishes, file)
            if theirs := _ranked(published, wishes):
                origin = f"published with lifelong {_version()}"
                say(f"{_own(plan, store)}: these are the ones {origin}")
                plan, records = published, theirs
    if not records:
        place = source.published or source.out or RESULTS
        say(f"no records of {name} in {place} under these settings; start with: lifelong run {name}")
    if other := len(plan.records) - len(records):
        say(f"{other} records of other scenarios, settings, seeds or strategies are left out")
    return Results(plan, records, origin)


def _own(plan: Plan, store: Store) -> str:
    """Say why none of the records in one's own folder is shown."""
    if not plan.records:
        return f"no records of your own in {store.root}"
    number = len(plan.records)
    some = f"{number} records of your own in {store.root} have" if number > 1 else f"the record in {store.root} has"
    return f"{some} another budget, model, scenario or seeds (give the --set of their run again)"


def _ranked(plan: Plan, wishes: Wishes) -> list[Record]:
    return plan.ranked(everyone=not wishes.strategies)


def _of_file(name: str, wishes: Wishes, file: Path) -> Plan:
    """Return a board's plan, compared with the records of a published file."""
    from lifelong.boards.board import load_board
    from lifelong.boards.plan import make_plan
    from lifelong.records.published import Published

    board = load_board(name)
    return make_plan(board, wishes, Published(file.expanduser(), board.name))


def published_with(name: str) -> Path | None:
    """Return the file of records that was published with an installed board; None where there is none.

    They lie in the folder `results` beside the board's file.
    """
    from lifelong.registry import board_file, boards

    file = board_file(name)
    records = file.parent / "results" / f"{file.stem}.jsonl.gz"
    return records if file in boards().values() and records.is_file() else None


def _version() -> str:
    from lifelong import __version__

    return __version__


def planned(name: str, wishes: Wishes, out: Path) -> tuple[Plan, Store]:
    """Return a board's plan, compared with the records in one's own folder, and the store of that folder.

    Raises:
        UsageError: if a name, a parameter or a file is wrong.
    """
    from lifelong.boards.board import load_board
    from lifelong.boards.plan import make_plan
    from lifelong.records.store import Store

    board = load_board(name)
    store = Store(out.expanduser(), board.name)
    return make_plan(board, wishes, store), store


def say_damaged(plan: Plan, store: Store) -> None:
    """Say which files lie where a record should be and are no records."""
    for path, why in plan.damaged.items():
        say(f"{path.relative_to(store.out)} is no record ({why}); 'lifelong run' will set it aside")


def metrics_of(wished: Sequence[str] | None, board: Board) -> list[str]:
    """Return the names of metrics that are asked for, each once; where none is asked for, the board's.

    Args:
        wished: names of `RUN_METRICS`, or their aliases.
        board: the board.

    Raises:
        UsageError: if there is no metric with one of these names.
    """
    from lifelong.records.metrics import metric_name

    return list(dict.fromkeys(map(metric_name, wished or board.metrics)))


def protocols() -> dict[str, str]:
    """Return the protocol of each installed scenario."""
    from lifelong.registry import scenarios

    return {entry.name: entry.protocol for entry in scenarios.all().values()}


def roles() -> dict[str, Role]:
    """Return the role of each installed strategy."""
    from lifelong.registry import strategies

    return {entry.name: entry.role for entry in strategies.all().values()}
