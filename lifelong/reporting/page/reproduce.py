"""Finds the command that makes a run again."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from lifelong.boards.plan import AtHand, Cell, Plan, Wishes, make_plan
from lifelong.boards.settings import parse_value
from lifelong.contracts import Entry
from lifelong.records.spec import Choice, Spec
from lifelong.registry import E, Registry, scenarios, strategies


def command_for(
    board: str, plan: Plan, specs: Collection[Spec], seeds: str | None = None
) -> Callable[[Spec], str | None]:
    """Return what tells the command for a run: `lifelong run BOARD --scenario S --strategy N --seeds 3 --set ...`.

    Args:
        board: as the user named it.
        plan: of that board, under whatever wishes.
        specs: of all runs that will be asked for.
        seeds: instead of a run's own seed, for example `0-4`; the board's seeds where it is empty.

    Returns:
        A function from a specification to the command. The command is None where the scenario or the strategy is not
        installed, or has another version or other code than the run had, or where a value cannot be typed.
    """
    cells = _as_written(plan, specs)

    def command(spec: Spec) -> str | None:
        cell = cells.get((spec.scenario.name, spec.strategy.name))
        if cell is None or cell.spec is None:
            return None
        chosen = str(spec.seed) if seeds is None else seeds
        options = [("--scenario", _brief(cell.scenario)), ("--strategy", _brief(cell.strategy)), ("--seeds", chosen)]
        try:
            options += [("--set", setting) for setting in _differences(cell.spec, spec)]
        except _UntypableError:
            return None
        return shlex.join(["lifelong", "run", board, *(word for option in options if option[1] for word in option)])

    return command


class _UntypableError(Exception):
    """Says that no option of the command gives this value."""


def _as_written(plan: Plan, specs: Collection[Spec]) -> dict[tuple[str, str], Cell]:
    """The cells that the board itself gives, for any one seed, by the names of scenario and strategy."""
    streams = _entries(
        scenarios, plan.board.scenarios, (cell.scenario for cell in plan.cells), {spec.scenario.name for spec in specs}
    )
    methods = _entries(
        strategies,
        plan.board.strategies,
        (cell.strategy for cell in plan.cells),
        {spec.strategy.name for spec in specs},
    )
    wishes = Wishes(scenarios=streams, strategies=methods, seeds="0")
    cells = make_plan(plan.board, wishes, AtHand()).cells
    return {(cell.scenario.name, cell.strategy.name): cell for cell in cells}


def _entries(registry: Registry[E], named: Sequence[str], planned: Iterable[E], used: Collection[str]) -> list[str]:
    """References to what the board names, what is planned, and what else was run and is installed."""
    installed = {name: entry for name, entry in registry.all().items() if name in used}
    entries = installed | {entry.name: entry for entry in (*map(registry.get, named), *planned)}
    return [entry.name if entry.file is None else f"{entry.file}:{entry.name}" for entry in entries.values()]


def _brief(entry: Entry) -> str:
    """The reference as one would type it. A page is for strangers: of a file elsewhere it tells only the name."""
    if entry.file is None:
        return entry.name
    here = Path.cwd()
    file = entry.file.relative_to(here) if entry.file.is_relative_to(here) else Path(entry.file.name)
    return f"{file}:{entry.name}"


def _differences(written: Spec, spec: Spec) -> Iterator[str]:
    """Yield `owner.parameter=value` for each value of a run that the board does not give.

    Raises:
        _UntypableError: if there is a difference that no such assignment makes.
    """
    for choice, wanted in ((written.scenario, spec.scenario), (written.strategy, spec.strategy)):
        _check_same_code(choice, wanted)
        yield from _assignments(wanted.name, choice.parameters, wanted.parameters)
    _check_same_code(written.model, spec.model)
    yield from _assignments("model", _named(written.model), _named(spec.model))
    yield from _assignments("budget", written.budget.model_dump(), spec.budget.model_dump())


def _check_same_code(choice: Choice, wanted: Choice) -> None:
    if (choice.version, choice.code_sha256) != (wanted.version, wanted.code_sha256):
        raise _UntypableError


def _named(model: Choice) -> dict[str, Any]:
    return {"name": model.name, **model.parameters}


def _assignments(owner: str, given: dict[str, Any], wanted: dict[str, Any]) -> Iterator[str]:
    for name, value in wanted.items():
        if name not in given or given[name] != value:
            text = value if isinstance(value, str) and parse_value(value) == value else json.dumps(value)
            if parse_value(text) != value:
                raise _UntypableError
            yield f"{owner}.{name}={text}"
