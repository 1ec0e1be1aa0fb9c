"""What is to be checked: each strategy that is named, on small scenarios, with a network of one's own or theirs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lifelong.boards.board import Board
from lifelong.boards.plan import AtHand, Cell, Wishes, make_plan
from lifelong.checking.subject import SEED
from lifelong.contracts import Context
from lifelong.errors import UsageError
from lifelong.models import models
from lifelong.models.building import build_network
from lifelong.registry import scenarios as installed
from lifelong.registry import strategies
from lifelong.training.prepare import build_benchmark, check_benchmark

TOYS = ("toy", "toy-domain", "toy-task")
DRIFTING = "drift-digits"
FLOOR = "naive"
SCENARIOS = (*TOYS, DRIFTING)
"""The smallest scenario of each protocol."""
DIGITS = ("digits-class", "digits-domain", "digits-task")
"""What a network is tried out on that does not take the toys' images of 4 x 4 pixels."""
EPOCHS = 10
"""How long to train on a toy: long enough to learn it, and for strategies that wait for convergence."""


@dataclass(frozen=True)
class Planned:
    """Holds what is to be checked with one network.

    Attributes:
        strategies: the names of the strategies, in order.
        model: the name of the network; empty for the scenarios' own.
        cells: a run of each strategy, and of floor and ceiling, on each scenario.
    """

    strategies: list[str]
    model: str
    cells: list[Cell]


def plans_of(
    references: Sequence[str], settings: Sequence[str], scenarios: Sequence[str], data: Path | None
) -> list[Planned]:
    """Sort names into strategies, scenarios and networks, and plan what is to be checked: a plan for each network.

    Args:
        references: names, or `file.py:name`, of any of them.
        settings: values of parameters.
        scenarios: the scenarios where none is among the names; empty for the smallest of each protocol.
        data: the folder of data sets.

    Raises:
        UsageError: if a name or a parameter is wrong, if nothing that was asked for is possible, or if a network could
            not be trained on the data of a user's scenario.
        DataError: if a scenario's data cannot be read.
    """
    asked: dict[str, list[str]] = {"strategy": [], "scenario": [], "model": []}
    for reference in dict.fromkeys(references):
        asked[_kind(reference)].append(reference)
    streams = asked["scenario"] or list(dict.fromkeys(scenarios))
    names = asked["strategy"] or [FLOOR]
    return [
        Planned(
            [strategies.get(name).name for name in names],
            models.get(model).name if model else "",
            _cells(names, streams, model, settings, data),
        )
        for model in asked["model"] or [""]
    ]


def _kind(reference: str) -> str:
    """Tell whether a name is that of a strategy, a scenario or a model.

    Raises:
        UsageError: if it is none of them.
    """
    if _is_plainly_a_network(reference):
        return "model"
    refusal = None
    for kind, registry in (("strategy", strategies), ("scenario", installed), ("model", models)):
        try:
            registry.get(reference)
        except UsageError as error:
            refusal = refusal or error
        else:
            return kind
    assert refusal is not None
    raise refusal


def _is_plainly_a_network(reference: str) -> bool:
    """Tell whether a function of a user's file asks for what a network is made of. It could be a strategy otherwise."""
    try:
        model = models.get(reference)
    except UsageError:
        return False
    return model.file is not None and bool(model.asks)


def _cells(
    names: Sequence[str], streams: Sequence[str], model: str, settings: Sequence[str], data: Path | None
) -> list[Cell]:
    """Plan each strategy on each scenario, with a network that was asked for or the scenarios' own.

    Raises:
        UsageError: if a network could not be trained on the data of a user's scenario.
        DataError: if a scenario's data cannot be read.
    """
    streams = streams or (SCENARIOS if _takes_toys(model, settings) else DIGITS)
    small = {name: values for name, values in _small(settings, model).items() if name in streams}
    board = Board(
        name="check",
        scenarios=list(streams),
        strategies=list(names),
        seeds=[SEED],
        set=small,
        model={"name": model} if model else {},
    )
    cells = make_plan(board, Wishes(streams, names, set=settings), AtHand()).cells
    for cell in {cell.scenario.name: cell for cell in cells}.values():
        if cell.scenario.check is not None:
            cell.scenario.check(Context(data=data))
        if cell.scenario.file is not None and cell.spec is not None:
            check_benchmark(build_benchmark(cell.spec, cell.scenario, data, "cpu"), cell.scenario)
    return cells


def _takes_toys(model: str, settings: Sequence[str]) -> bool:
    """Tell whether a network can be built for the toys, which are smaller than what most networks read."""
    if not model:
        return True
    cell = _cells([FLOOR], TOYS[:1], model, settings, None)[0]
    assert cell.spec is not None
    benchmark = build_benchmark(cell.spec, cell.scenario, None, "cpu")
    try:
        build_network(models.get(model), cell.spec.model.parameters, protocol="class", benchmark=benchmark)
    except UsageError:
        return False
    return True


def _small(settings: Sequence[str], model: str) -> dict[str, dict[str, Any]]:
    """Return settings that keep the scenarios short, with a network of two layers unless a model is asked for."""
    toy: dict[str, Any] = {"budget": {"epochs": EPOCHS}}
    if not model and not any("model.name=" in setting for setting in settings):
        toy["model"] = {"widths": [32, 16]}
    digits: dict[str, Any] = {"budget": {"epochs": 4}}
    return {
        **dict.fromkeys(TOYS, toy),
        **(dict.fromkeys(DIGITS, digits) if model else {}),
        DRIFTING: {"experiences": 3, "steps": 102, "test_samples": 40},
    }
