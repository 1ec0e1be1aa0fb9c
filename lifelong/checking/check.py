"""Carries out all checks of a strategy on a few small scenarios, one of each protocol."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from lifelong.boards.board import Board
from lifelong.boards.plan import AtHand, Cell, Wishes, make_plan
from lifelong.checking.answers import Answer, Check, failed, not_applicable
from lifelong.checking.peeking import (
    answers_without_boundaries,
    answers_without_test_labels,
    learns_without_test_sets,
    learns_without_the_future,
)
from lifelong.checking.repeating import evaluation_changes_nothing, seeds_differ, seeds_repeat, survives_a_resume
from lifelong.checking.subject import SEED, Subject
from lifelong.checking.training import is_built, is_read, keeps_the_budget, learns, trains
from lifelong.contracts import Context, Strategy
from lifelong.errors import UsageError, frame_of
from lifelong.registry import scenarios as installed
from lifelong.registry import strategies
from lifelong.training.arithmetic import arithmetic
from lifelong.training.prepare import build_benchmark, check_benchmark

CHECKS: tuple[Check, ...] = (
    is_built,
    trains,
    learns,
    seeds_repeat,
    seeds_differ,
    evaluation_changes_nothing,
    survives_a_resume,
    answers_without_test_labels,
    answers_without_boundaries,
    learns_without_test_sets,
    learns_without_the_future,
    is_read,
    keeps_the_budget,
)
TOYS = ("toy", "toy-domain", "toy-task")
DRIFTING = "drift-digits"
FLOOR = "naive"
SCENARIOS = (*TOYS, DRIFTING)
"""The smallest scenario of each protocol."""
EPOCHS = 10
"""How long to train on a toy: long enough to learn it, and for strategies that wait for convergence."""


@dataclass(frozen=True)
class Result:
    """Says what a check came to on one scenario."""

    scenario: str
    check: Check
    answer: Answer


@dataclass
class Report:
    """Holds all results of one strategy.

    Attributes:
        strategy: the strategy.
        results: what each check came to on each scenario.
        hints: what a reader of the strategy would miss.
    """

    strategy: Strategy
    results: list[Result] = field(default_factory=list)
    hints: list[str] = field(default_factory=list)

    @property
    def built(self) -> bool:
        """Tell whether the strategy could be built for at least one of the scenarios."""
        return any(one.check is is_built and one.answer.verdict == "passed" for one in self.results)

    @property
    def ok(self) -> bool:
        """Tell whether the strategy could be built, and no check failed."""
        return self.built and all(result.answer.verdict != "failed" for result in self.results)


Tell = Callable[[str, str, str], None]
"""Is called before each check with the names of the strategy, the scenario and the check."""


def check(
    references: Sequence[str],
    settings: Sequence[str] = (),
    scenarios: Sequence[str] = SCENARIOS,
    tell: Tell = lambda *_: None,
    data: Path | None = None,
) -> Iterator[Report]:
    """Check strategies one after the other, and yield a report on each.

    Wrong arguments are refused at once; a strategy is trained when its report is asked for. A scenario of a user's file
    is checked for its data too, and tried out with plain fine-tuning where no strategy is given.

    Args:
        references: the strategies, each by its name or as `file.py:name`; scenarios among them take the place of
            `scenarios`.
        settings: values of parameters, such as `ewc.ewc_lambda=0.4`.
        scenarios: the scenarios, each by its name or as `file.py:name`.
        tell: is called before each check.
        data: the folder of data sets.

    Raises:
        UsageError: if a name or a parameter is wrong, if nothing that was asked for is possible, or if a network could
            not be trained on a scenario's data.
        DataError: if a scenario's data cannot be read.
    """
    streams = [reference for reference in dict.fromkeys(references) if _is_scenario(reference)]
    references = [reference for reference in dict.fromkeys(references) if reference not in streams] or [FLOOR]
    scenarios = streams or list(dict.fromkeys(scenarios))
    small = {name: values for name, values in _small(settings).items() if name in scenarios}
    board = Board(name="check", scenarios=scenarios, strategies=references, seeds=[SEED], set=small)
    cells = make_plan(board, Wishes(scenarios, references, set=settings), AtHand()).cells
    for cell in {cell.scenario.name: cell for cell in cells}.values():
        if cell.scenario.check is not None:
            cell.scenario.check(Context(data=data))
        if cell.scenario.file is not None and cell.spec is not None:
            check_benchmark(build_benchmark(cell.spec, cell.scenario, data, "cpu"), cell.scenario)
    names = [strategies.get(reference).name for reference in references]
    return (_report([cell for cell in cells if cell.strategy.name == name], cells, tell, data) for name in names)


def _is_scenario(reference: str) -> bool:
    """Tell whether a name is a scenario's.

    Raises:
        UsageError: if it is neither a scenario's nor a strategy's.
    """
    try:
        strategies.get(reference)
    except UsageError:
        try:
            installed.get(reference)
        except UsageError:
            pass
        else:
            return True
        raise
    return False


def _small(settings: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return settings that keep the scenarios short, with a network of two layers unless a model is asked for."""
    toy: dict[str, Any] = {"budget": {"epochs": EPOCHS}}
    if not any("model.name=" in setting for setting in settings):
        toy["model"] = {"widths": [32, 16]}
    return {**dict.fromkeys(TOYS, toy), DRIFTING: {"experiences": 3, "steps": 102, "test_samples": 40}}


def _report(cells: Sequence[Cell], everyone: Sequence[Cell], tell: Tell, data: Path | None) -> Report:
    report = Report(cells[0].strategy, hints=hints(cells[0].strategy))
    for cell in cells:
        with TemporaryDirectory(prefix="lifelong-check-") as folder:
            report.results += _on(cell, everyone, tell, Path(folder), data)
    return report


def _on(cell: Cell, everyone: Sequence[Cell], tell: Tell, folder: Path, data: Path | None) -> Iterator[Result]:
    """Yield the result of each check on one scenario."""
    name = cell.scenario.name
    if cell.spec is None:
        yield from (Result(name, one, not_applicable(cell.reason)) for one in CHECKS)
        return
    floor = next(one for one in everyone if one.strategy.role == "floor" and one.scenario.name == name)
    assert floor.spec is not None
    subject = Subject(cell.scenario, cell.strategy, cell.spec, (floor.strategy, floor.spec), folder, data)
    stopped = ""
    for one in CHECKS:
        tell(cell.strategy.name, name, one.name)
        answer = not_applicable(stopped) if stopped else _look(one, subject)
        if one.vital and answer.verdict != "passed" and not stopped:
            stopped = answer.happened if answer.verdict == "not applicable" else f"not reached: {one.name} failed"
        yield Result(name, one, answer)


def _look(one: Check, subject: Subject) -> Answer:
    # What is printed goes nowhere. To ignore warnings is not enough, because Avalanche switches its own on again.
    with redirect_stdout(io.StringIO()), warnings.catch_warnings(record=True), arithmetic("cpu"):
        warnings.simplefilter("ignore")
        try:
            return one.look(subject)
        except Exception as error:
            return failed(f"{type(error).__name__}: {error}{_place(error, subject.strategy)}", "", "")


def _place(error: Exception, strategy: Strategy) -> str:
    """Return where an error was raised: the last line of the strategy's own file, or else of any file."""
    frame = frame_of(error, strategy.function.__code__.co_filename)
    return f" ({Path(frame.filename).name}:{frame.lineno}, in {frame.name})"


def hints(strategy: Strategy) -> list[str]:
    """Return what a reader of a strategy would miss, a sentence each."""
    sentences = []
    if not strategy.summary:
        sentences.append("it has no docstring: say in one sentence what it does")
    if not strategy.source:
        sentences.append("it has no source: @strategy(source='Author Year, Title, arXiv:...')")
    if unsaid := [name for name in strategy.parameters if f"{name}:" not in strategy.description]:
        sentences.append(f"its docstring does not tell what {', '.join(unsaid)} {'is' if len(unsaid) == 1 else 'are'}")
    return sentences
