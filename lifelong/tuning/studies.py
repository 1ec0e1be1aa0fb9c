"""Turns a board and the user's wishes into studies, before anything runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from lifelong.boards.board import Board
from lifelong.boards.plan import AtHand, Cell, Plan, Wishes, make_plan
from lifelong.boards.tuning import Tuning, check_apart
from lifelong.contracts import Scenario, Strategy
from lifelong.errors import UsageError
from lifelong.records.spec import Spec, Validation
from lifelong.records.store import Store
from lifelong.registry import scenarios, strategies
from lifelong.reporting.text.words import grouped
from lifelong.running.launch import Options, make_jobs
from lifelong.tuning.space import space_of
from lifelong.tuning.study import Study
from lifelong.verification.closed import Division


def studies_of(
    board: Board, wishes: Wishes, tuning: Tuning, store: Store, options: Options
) -> tuple[list[Study], list[str]]:
    """Return a study of each strategy on each scenario.

    All studies have the same seeds, and all that have something to choose have the same number of trials.

    Args:
        board: the board.
        wishes: the scenarios, strategies and settings that the user asked for; their seeds are not used.
        tuning: the seeds, the number of trials, and the samples held out.
        store: the place of the records.
        options: how to run the trials.

    Returns:
        The studies, and a sentence on each that is left out. A study is left out if it is impossible. It is also left
        out if the board leaves its strategy nothing to choose, unless the user asked for that strategy by name.

    Raises:
        UsageError: if a name, a range or a seed is wrong; if a scenario cannot be scored on samples held out; if a
            strategy that is asked for has no ranges; or if the device, the data or the output folder cannot be used.
    """
    try:
        check_apart(tuning.seeds, board.seeds)
    except ValueError as error:
        raise UsageError(f"--seeds: {error}") from None
    streams = [_checked(scenarios.get(name)) for name in wishes.scenarios or board.scenarios]
    held_out = (f"{stream.name}.validation={tuning.validation}" for stream in streams)
    seeds = ",".join(map(str, tuning.seeds))
    plan = make_plan(board, replace(wishes, seeds=seeds, set=(*wishes.set, *held_out)), AtHand())
    Division(board, tuple(plan.cells))  # refuses ranges of unknown strategies or parameters
    asked = {strategies.get(name).name for name in wishes.strategies or board.strategies}
    cells = [cell for cell in plan.cells if cell.strategy.name in asked]
    skipped = [cell.reason for cell in cells if cell.state == "impossible"]
    if not wishes.strategies:
        idle = sorted({cell.strategy.name for cell in cells if not _tunable(board, cell.strategy)})
        skipped += [f"board {board.name} leaves nothing of {name} to choose" for name in idle]
        cells = [cell for cell in cells if cell.strategy.name not in idle]
    studies = list(_studies(board, cells, tuning, store, options))
    if not studies:
        raise UsageError("; ".join(dict.fromkeys(skipped)))
    return studies, list(dict.fromkeys(skipped))


def _studies(board: Board, cells: Sequence[Cell], tuning: Tuning, store: Store, options: Options) -> Iterator[Study]:
    """Yield a study of each scenario and strategy whose cells are possible, with a job for each seed."""
    spaces, marked = {}, []
    for cell in cells:
        if cell.spec is not None:
            held_out = Validation(experiences=tuning.experiences)
            marked.append(replace(cell, spec=cell.spec.model_copy(update={"validation": held_out})))
            spaces[_pair(cell.spec)] = cell.strategy, space_of(board, cell.strategy, cell.spec.strategy.parameters)
    jobs = grouped(make_jobs(Plan(board, marked), store, options), lambda job: _pair(job.spec))
    for pair, (strategy, space) in spaces.items():
        yield Study(strategy, jobs[pair], space, tuning.trials if space else 1)


def _pair(spec: Spec) -> tuple[str, str]:
    return spec.scenario.name, spec.strategy.name


def _tunable(board: Board, strategy: Strategy) -> bool:
    """Tell whether it is known what a strategy may choose; a strategy without parameters may choose nothing."""
    return strategy.name in board.closed or not strategy.parameters


def _checked(scenario: Scenario) -> Scenario:
    """Return a scenario, if it can be scored on samples held out of training.

    Raises:
        UsageError: if it cannot.
    """
    if "validation" not in scenario.parameters:
        raise UsageError(f"{scenario.name} holds no samples out: it has no parameter `validation`; leave it out")
    if scenario.criterion != "cross-entropy" or scenario.scored != "all":
        raise UsageError(f"{scenario.name} has no average accuracy after its last experience; leave it out")
    return scenario
