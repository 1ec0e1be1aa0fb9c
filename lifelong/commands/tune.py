"""The command `lifelong tune`: parameters chosen on training samples held out, with the same effort for all."""

from __future__ import annotations

import shlex
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lifelong.commands.console import RESUMES, answer, say, stderr, stoppable, write_out, writing_to
from lifelong.commands.options import BoardName, Machine, Scenarios, Sets, Strategies, spread
from lifelong.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lifelong.boards.board import Board
    from lifelong.boards.plan import Wishes
    from lifelong.boards.tuning import Tuning
    from lifelong.running.launch import Options
    from lifelong.tuning.study import Study

TUNING = Path("tuning")


class TuningProtocol(StrEnum):
    """How much of a stream a trial sees."""

    first = "first"
    validation = "validation"


@spread
def tune(
    board: BoardName,
    machine: Machine,
    strategy: Strategies = None,
    scenario: Scenarios = None,
    trials: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Trials of each; the board's, or 20, by default.")
    ] = None,
    seeds: Annotated[
        str, typer.Option("--seeds", metavar="SEEDS", help="Seeds of a trial; the board's, or 100-101, by default.")
    ] = "",
    protocol: Annotated[
        TuningProtocol | None,
        typer.Option(metavar="NAME", help="A trial sees the first three experiences (first), or all (validation)."),
    ] = None,
    settings: Sets = None,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="The folder of studies and their runs.")] = TUNING,
    output: Annotated[
        Path | None,
        typer.Option("--output", metavar="FILE", help="The file to write; tuned.toml in that folder by default."),
    ] = None,
) -> None:
    """Choose strategies' parameters on training samples held out.

    Test data are never used, and each strategy gets the same effort. The same command goes on where it was stopped.
    """
    try:
        import optuna
    except ImportError:
        raise UsageError("tuning needs Optuna: pip install 'lifelong[tune]'") from None
    from lifelong.boards.board import load_board
    from lifelong.boards.plan import Wishes
    from lifelong.records.store import Store
    from lifelong.running.launch import Options
    from lifelong.tuning.outcome import as_toml, outcome_of, outcome_report
    from lifelong.tuning.studies import studies_of

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    loaded = load_board(board)
    effort = _effort(loaded, trials, seeds, protocol)
    store = Store(out.expanduser(), loaded.name)
    options = Options(machine.workers, machine.timeout_s, data=machine.data, device=machine.device, wandb="off")
    wishes = Wishes(tuple(scenario or ()), tuple(strategy or ()), set=tuple(settings or ()))
    studies, skipped = studies_of(loaded, wishes, effort, store, options)
    for reason in skipped:
        say(f"skipped: {reason}")
    _make_trials(studies, options, loaded.name)
    outcomes = [outcome_of(study) for study in studies]
    answer(outcome_report(outcomes))
    for one in outcomes:
        for failure in dict.fromkeys(one.failures):
            say(f"{one.study.scenario} · {one.study.strategy.name}: {failure}")
    output = output or store.root / "tuned.toml"
    write_out(output, as_toml(outcomes, effort))
    say(f"now: {_next(board, wishes, output)}")
    if any(one.chosen is None for one in outcomes):
        raise typer.Exit(1)


def _effort(board: Board, trials: int | None, seeds: str, protocol: TuningProtocol | None) -> Tuning:
    """The board's effort, except where the user asks for another.

    Raises:
        UsageError: if what is asked for is out of range.
    """
    from pydantic import ValidationError

    from lifelong.boards.plan import parse_seeds
    from lifelong.boards.tuning import Tuning

    effort: dict[str, Any] = (board.tuning or Tuning()).model_dump()
    asked = {"trials": trials, "seeds": parse_seeds(seeds) if seeds else None, "protocol": protocol and protocol.value}
    try:
        return Tuning.model_validate(effort | {name: value for name, value in asked.items() if value is not None})
    except ValidationError as error:
        detail = error.errors()[0]
        raise UsageError(f"--{detail['loc'][0]}: {detail['msg']}") from None


def _make_trials(studies: Sequence[Study], options: Options, board: str) -> None:
    """Make the trials that are missing, and show them while they run.

    Raises:
        UsageError: if it cannot be done; what is done by then is kept.
        Exit: if it was stopped; what is done by then is kept.
    """
    from lifelong.reporting.text.progress import display
    from lifelong.running.launch import worker_count
    from lifelong.tuning.tune import tune as make_trials

    side_by_side = worker_count(options.workers, sum(len(study.jobs) for study in studies))
    with stoppable(RESUMES), writing_to(studies[0].jobs[0].store.root, "; what is done is kept"):
        runs = sum((study.trials - len(study.done)) * len(study.jobs) for study in studies)
        if not runs:
            say(f"nothing to run: {len(studies)} studies have all their trials")
            return
        with display(stderr(), f"tuning for {board}", runs, side_by_side) as shown:
            make_trials(studies, options, shown.show)


def _next(board: str, wishes: Wishes, output: Path) -> str:
    """The command that runs the board with the parameters that were chosen."""
    flags = [("--strategy", name) for name in wishes.strategies] + [("--scenario", name) for name in wishes.scenarios]
    flags += [("--set", value) for value in (*wishes.set, str(output))]
    return shlex.join(["lifelong", "run", board, *(word for flag in flags for word in flag)])
