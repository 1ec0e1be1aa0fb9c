"""Carries runs out again, to see whether their records tell what happens."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import SystemRandom
from tempfile import TemporaryDirectory
from typing import Literal

from lifelong.boards.plan import Cell, Plan
from lifelong.contracts import Entry
from lifelong.errors import UsageError
from lifelong.models import Model, models
from lifelong.records.agreement import difference, identical
from lifelong.records.record import Record
from lifelong.records.spec import Choice, Spec
from lifelong.records.store import Store
from lifelong.registry import scenarios, strategies
from lifelong.running import launch
from lifelong.running.launch import Options
from lifelong.running.scheduler import Advanced, Finished

TOLERANCE = 0.05
"""How far an entry of R may be off on another kind of machine, as a fraction.

Sixty runs of digits-v1 were repeated under other vector instructions. In 57 of them R was the same bit for bit, and in
one an entry was off by 0.014. Two runs of a rule with a sharp threshold were off by up to 0.31: whether such a run
differs by rounding or by more is for a person to judge.
"""
SHORTEST = 8
"""The fewest digits of a key that may be given to name it."""
Verdict = Literal["identical", "within tolerance", "differs", "failed"]


@dataclass(frozen=True)
class Rerun:
    """Compares a record with what the same run came to now."""

    record: Record
    verdict: Verdict
    difference: float | None
    """The largest difference between entries of R, in [0, 1]; None where the run failed."""
    same_place: bool
    """Whether it ran on the same kind of machine with the same versions. Then R must agree bit for bit."""
    reason: str = ""
    """Why the run failed; empty otherwise."""


def choose(plans: Iterable[Plan], number: int, keys: Sequence[str] = ()) -> list[tuple[Plan, Cell]]:
    """Choose among the runs that are ok and can be run again here.

    The system's own random numbers are used, so that nobody can know beforehand which runs will be chosen.

    Args:
        plans: the plans of the boards, with their records.
        number: how many runs to draw by chance, at most; not used where keys are given.
        keys: the beginnings of the keys of the runs to choose, of at least 8 digits each.

    Returns:
        The cells, each with the plan of its board.

    Raises:
        UsageError: if a key is too short or names no such run, or there is none to draw.
    """
    possible = [(plan, cell) for plan in plans for cell in _cells(plan)]
    for key in keys:
        if len(key) < SHORTEST or not any(_key(cell).startswith(key) for _, cell in possible):
            raise UsageError(f"--key {key!r}: give at least {SHORTEST} digits of a run that is ok and installed")
    if keys:
        return [(plan, cell) for plan, cell in possible if _key(cell).startswith(tuple(keys))]
    if not possible:
        raise UsageError("none of these runs can be done again: they failed, or what they need is not installed")
    return SystemRandom().sample(possible, min(number, len(possible)))


def _key(cell: Cell) -> str:
    return cell.spec.key if cell.spec else ""


def _cells(plan: Plan) -> Iterator[Cell]:
    """Yield the cells of runs that are ok and possible here, marked as missing so that they are run."""
    planned = {cell.spec.key: cell for cell in plan.cells if cell.spec is not None}
    for record in plan.records.values():
        if record.ok and (cell := planned.get(record.key) or _unplanned(record.spec)) is not None:
            yield replace(cell, state="missing", record=record)


def _unplanned(spec: Spec) -> Cell | None:
    """Return the cell of a run that the board does not plan.

    None is returned unless scenario, strategy and model are installed, and accept the values that the run names.
    """
    scenario, strategy = scenarios.all().get(spec.scenario.name), strategies.all().get(spec.strategy.name)
    model = _installed(spec.model.name)
    if scenario is None or strategy is None or model is None or strategy.refusal(scenario):
        return None
    chosen = ((spec.scenario, scenario), (spec.strategy, strategy), (spec.model, model))
    if not all(_takes(entry, choice) for choice, entry in chosen):
        return None
    references = (scenario.name, strategy.name, model.name)
    return Cell(scenario, strategy, spec.seed, "missing", spec, references=references)


def _installed(name: str) -> Model | None:
    """Return the built-in model of that name, or that of an installed library."""
    try:
        return models.get(name)
    except UsageError:
        return None


def _takes(entry: Entry, choice: Choice) -> bool:
    """Tell whether an installed function, called with a stranger's values, has exactly these."""
    if choice.code_sha256 is not None or choice.version != entry.version:
        return False
    try:
        resolved = Choice(name=entry.name, parameters=entry.resolve(choice.parameters))
    except UsageError:
        return False
    return bool(resolved.model_dump(mode="json")["parameters"] == choice.parameters)


def rerun(chosen: Sequence[tuple[Plan, Cell]], options: Options, tell: Callable[[Rerun], None]) -> list[Rerun]:
    """Carry runs out again, in a folder that is removed afterwards, and compare what they come to.

    Args:
        chosen: the cells, each with its plan, as `choose` returns them.
        options: how to run them.
        tell: is called with each comparison as soon as its run is over.

    Raises:
        UsageError: if the device or the data cannot be used.
    """
    with TemporaryDirectory(prefix="lifelong-rerun-") as folder:
        out, records, jobs = Path(folder), {}, []
        for plan, cell in chosen:
            store = Store(out, plan.board.name)
            jobs += launch.make_jobs(Plan(plan.board, [cell]), store, options)
            records[plan.board.name, _key(cell)] = cell.record
        compared: list[Rerun] = []

        def hear(event: Advanced | Finished) -> None:
            if isinstance(event, Finished) and (before := records[event.job.board, event.job.spec.key]) is not None:
                compared.append(compare(before, event.record))
                tell(compared[-1])

        launch.run(jobs, options, hear)
    return compared


def compare(record: Record, again: Record) -> Rerun:
    """Compare a record with the record of its rerun."""
    same_place = _place(record) == _place(again)
    if not again.ok:
        return Rerun(record, "failed", None, same_place, f"{again.status}: {again.reason}")
    apart = difference(record, again)
    if identical(record, again):
        return Rerun(record, "identical", apart, same_place)
    agree = not same_place and apart <= TOLERANCE
    return Rerun(record, "within tolerance" if agree else "differs", apart, same_place)


def _place(record: Record) -> tuple[object, ...]:
    """Return what the bits of a result depend on, apart from the specification."""
    provenance = record.provenance
    return provenance.versions, provenance.commit, provenance.cpu, provenance.device, provenance.threads
