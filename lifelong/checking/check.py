"""Carries out all checks of strategies, with a network of one's own or not, on small scenarios of each protocol."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory

from lifelong.boards.plan import Cell
from lifelong.checking.answers import Answer, Check, failed, not_applicable
from lifelong.checking.asked import Planned, plans_of
from lifelong.checking.network import can_be_changed, has_its_parts
from lifelong.checking.peeking import (
    answers_without_boundaries,
    answers_without_test_labels,
    learns_without_test_sets,
    learns_without_the_future,
)
from lifelong.checking.repeating import evaluation_changes_nothing, seeds_differ, seeds_repeat, survives_a_resume
from lifelong.checking.subject import Subject
from lifelong.checking.training import is_built, is_read, keeps_the_budget, learns, trains
from lifelong.contracts import Strategy
from lifelong.errors import frame_of
from lifelong.models import models
from lifelong.training.arithmetic import arithmetic

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
NETWORK_CHECKS: tuple[Check, ...] = (has_its_parts, can_be_changed)
"""What is looked at besides, where a network was asked for."""


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
        model: the network that was asked for; empty for the scenarios' own.
        results: what each check came to on each scenario.
        hints: what a reader of the strategy would miss.
    """

    strategy: Strategy
    model: str = ""
    results: list[Result] = field(default_factory=list)
    hints: list[str] = field(default_factory=list)

    @property
    def title(self) -> str:
        """The strategy's name, with that of the network where one was asked for."""
        return f"{self.strategy.name} with {self.model}" if self.model else self.strategy.name

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
    scenarios: Sequence[str] = (),
    tell: Tell = lambda *_: None,
    data: Path | None = None,
) -> Iterator[Report]:
    """Check strategies one after the other, and yield a report on each.

    Wrong arguments are refused at once; a strategy is trained when its report is asked for. A scenario of a user's file
    is checked for its data too. A scenario or a network is tried out with plain fine-tuning where no strategy is given.

    Args:
        references: the strategies, each by its name or as `file.py:name`; scenarios among them take the place of
            `scenarios`, and networks among them that of the scenarios' own.
        settings: values of parameters, such as `ewc.ewc_lambda=0.4`.
        scenarios: the scenarios, each by its name or as `file.py:name`; by default the smallest of each protocol.
        tell: is called before each check.
        data: the folder of data sets.

    Raises:
        UsageError: if a name or a parameter is wrong, if nothing that was asked for is possible, or if a network could
            not be trained on a scenario's data.
        DataError: if a scenario's data cannot be read.
    """
    plans = plans_of(references, settings, scenarios, data)
    return chain.from_iterable(_reports(planned, tell, data) for planned in plans)


def _reports(planned: Planned, tell: Tell, data: Path | None) -> Iterator[Report]:
    """Yield a report on each strategy of the plan that was asked for; the plan has the floor and the ceiling, too."""
    checks = (*CHECKS, *(NETWORK_CHECKS if planned.model else ()))
    for name in planned.strategies:
        cells = [cell for cell in planned.cells if cell.strategy.name == name]
        report = Report(cells[0].strategy, planned.model, hints=hints(cells[0].strategy))
        for cell in cells:
            with TemporaryDirectory(prefix="lifelong-check-") as folder:
                report.results += _on(cell, planned.cells, checks, tell, Path(folder), data)
        yield report


def _on(
    cell: Cell, everyone: Sequence[Cell], checks: Sequence[Check], tell: Tell, folder: Path, data: Path | None
) -> Iterator[Result]:
    """Yield the result of each check on one scenario."""
    name = cell.scenario.name
    if cell.spec is None:
        yield from (Result(name, one, not_applicable(cell.reason)) for one in checks)
        return
    floor = next(one for one in everyone if one.strategy.role == "floor" and one.scenario.name == name)
    assert floor.spec is not None
    model = models.get(cell.references[2])
    subject = Subject(cell.scenario, cell.strategy, model, cell.spec, (floor.strategy, floor.spec), folder, data)
    stopped = ""
    for one in checks:
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
