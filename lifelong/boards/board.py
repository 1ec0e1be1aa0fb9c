"""Boards: TOML files that name scenarios, strategies, seeds and a budget."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, ValidationError, ValidationInfo, field_validator

from lifelong.boards.targets import Target, check_placed, told
from lifelong.boards.tuning import Tuning, check_apart
from lifelong.errors import UsageError, unknown
from lifelong.records.spec import Strict
from lifelong.registry import board_file

MAX_SEED = 2**32 - 1
MAX_SEEDS = 100_000
METRICS = ["average_accuracy", "forgetting", "final_parameters", "average_parameters", "training_macs", "train_s"]
"""The metrics that a board shows unless its file names others."""


def _range_or_choice(values: Any) -> Any:
    if not isinstance(values, list) or not values:
        raise ValueError("write a range, such as [0.1, 1000], or a choice, such as ['sgd', 'adam']")
    if is_range(values) and values[0] > values[1]:
        raise ValueError(f"the range {values} is empty; did you mean {values[::-1]}?")
    return values


def is_range(values: list[Any]) -> bool:
    """Tell whether a board allows a range, and not a choice. A range is two numbers; both ends belong to it.

    >>> is_range([0.1, 1000]), is_range(["sgd", "adam"]), is_range([1, 2, 3])
    (True, False, False)
    """
    return len(values) == 2 and all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)


Allowed = Annotated[list[Any], BeforeValidator(_range_or_choice)]


class Board(Strict):
    """The content of a board file.

    title = "Handwritten digits"
    scenarios = ["digits-class", "digits-task"]
    strategies = ["naive", "joint", "ewc"]
    seeds = 5                   # the first five, or a list
    metrics = ["forgetting"]    # names of `lifelong.records.metrics.RUN_METRICS`; the first two rank
    claims = [["ewc", "naive", "weights are held"]]     # a strategy, what it has to beat, what is claimed to help

    [budget]                    # fields of `Budget`; the scenario's default for those that are left out
    epochs = 5
    [model]                     # the scenario's default where it is left out
    name = "mlp"
    [set.ewc]                   # parameters of a strategy or a scenario
    ewc_lambda = 10.0
    [set.digits-task.ewc]       # parameters of a strategy, of `budget` or of `model` on one scenario
    ewc_lambda = 1.0
    [on]                        # strategies that run on some of the scenarios only
    ewc = ["digits-task"]
    [closed.ewc]                # what a run may choose and still be closed: a range of two numbers, or a choice
    ewc_lambda = [0.1, 1000]
    [tuning]                    # the same effort for each strategy; `closed` has the ranges (see `Tuning`)
    trials = 20
    [[targets]]                 # a published number (see `Target`)
    scenario = "digits-task"
    strategy = "ewc"
    value = 0.98
    tolerance = 0.01
    source = "the paper and its table"
    """

    name: str
    title: str = ""
    description: str = ""
    scenarios: list[str] = Field(min_length=1)
    strategies: list[str] = Field(min_length=1)
    seeds: list[int] = Field([0, 1, 2, 3, 4], min_length=1)
    metrics: list[str] = Field(METRICS, min_length=1)
    claims: list[tuple[str, str, str]] = Field([])
    budget: dict[str, Any] = Field({})
    model: dict[str, Any] = Field({})
    set: dict[str, dict[str, Any]] = Field({})
    on: dict[str, list[str]] = Field({})
    closed: dict[str, dict[str, Allowed]] = Field({})
    targets: list[Target] = Field([])
    tuning: Tuning | None = None

    @property
    def cells(self) -> int:
        """How many cells the board has, including impossible ones."""
        pairs = [
            (scenario, name) for scenario in self.scenarios for name in self.strategies if self.has(scenario, name)
        ]
        return len(pairs) * len(self.seeds)

    def has(self, scenario: str, strategy: str) -> bool:
        """Tell whether the board lets a strategy run on a scenario."""
        return scenario in self.on.get(strategy, [scenario])

    @field_validator("seeds", mode="before")
    @classmethod
    def _count_or_list(cls, seeds: Any) -> Any:
        if isinstance(seeds, int) and not isinstance(seeds, bool):
            if not 1 <= seeds <= MAX_SEEDS:
                raise ValueError(f"{seeds} seeds: write how many, from 1 to {MAX_SEEDS}, or which, such as [0, 3]")
            return list(range(seeds))
        return seeds

    @field_validator("seeds")
    @classmethod
    def _possible(cls, seeds: list[int]) -> list[int]:
        if len(set(seeds)) < len(seeds):
            raise ValueError("a seed stands twice")
        if bad := [seed for seed in seeds if not 0 <= seed <= MAX_SEED]:
            raise ValueError(f"{bad[0]} is not a seed: they go from 0 to {MAX_SEED}")
        return seeds

    @field_validator("metrics")
    @classmethod
    def _known(cls, names: list[str]) -> list[str]:
        from lifelong.records.metrics import RUN_METRICS  # imports numpy; a board without metrics does not need it

        for name in names:
            if name not in RUN_METRICS:
                raise ValueError(str(unknown("metric", name, RUN_METRICS)))
        return names

    @field_validator("claims")
    @classmethod
    def _of_the_board(cls, claims: list[tuple[str, str, str]], info: ValidationInfo) -> list[tuple[str, str, str]]:
        there = info.data.get("strategies", [])
        for name in (name for claim in claims for name in claim[:2]):
            if there and name.partition(" (")[0] not in there:
                raise ValueError(
                    f"a claim about {name!r}, which the board's strategies do not name; write it as they do"
                )
        return claims

    @field_validator("on")
    @classmethod
    def _there(cls, on: dict[str, list[str]], info: ValidationInfo) -> dict[str, list[str]]:
        for kind, names in (("strategies", list(on)), ("scenarios", [name for where in on.values() for name in where])):
            there = info.data.get(kind, [])
            if wrong := [name for name in names if there and name not in there]:
                raise ValueError(f"{wrong[0]!r} is not among the board's {kind}")
        return on

    @field_validator("targets")
    @classmethod
    def _reachable(cls, targets: list[Target], info: ValidationInfo) -> list[Target]:
        if {"scenarios", "strategies", "on"} <= info.data.keys():  # else pydantic tells what is wrong with these
            check_placed(targets, info.data["scenarios"], info.data["strategies"], info.data["on"])
        return targets

    @field_validator("tuning")
    @classmethod
    def _apart(cls, tuning: Tuning | None, info: ValidationInfo) -> Tuning | None:
        if tuning is not None:
            check_apart(tuning.seeds, info.data.get("seeds", ()))
        return tuning

    @field_validator("scenarios", "strategies", "metrics")
    @classmethod
    def _distinct(cls, names: list[str]) -> list[str]:
        if twice := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"{sorted(twice)[0]!r} stands twice")
        return names


def load_board(reference: str) -> Board:
    """Load the board of that name, or of that `.toml` file.

    Strategies and scenarios that are given as `file.py:name` are looked for beside the board file.

    Raises:
        UsageError: if there is no such board, or its file cannot be read. The message names the line and the key.
    """
    file = board_file(reference)
    try:
        text = file.read_text(encoding="utf-8")
        content = tomllib.loads(text)
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UsageError(f"{file} is not a text file") from None
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{file} is not TOML: {error}") from None
    except RecursionError:
        raise UsageError(f"{file} is nested too deeply") from None
    try:
        return Board.model_validate({"name": file.stem, **_placed(file, content)})
    except ValidationError as error:
        detail = error.errors()[0]
        raise UsageError(f"{file}{_line(text, detail['loc'])}: {_told(detail)}") from None


def _told(detail: Any) -> str:
    key = ".".join(str(part) for part in detail["loc"])
    if detail["loc"][0] == "targets":
        return told(detail)
    if detail["type"] == "extra_forbidden":
        fields = Tuning.model_fields if detail["loc"][0] == "tuning" else Board.model_fields
        return f"no key {key!r} on a board; there are {', '.join(sorted(fields))}"
    if detail["type"] == "missing":
        return f"the key {key!r} is missing"
    if detail["type"] == "too_short":
        return f"{key}: there must be at least one"
    return f"{key}: {detail['msg'].removeprefix('Value error, ')}"


def _placed(file: Path, content: Mapping[str, Any]) -> dict[str, Any]:
    """Return a board's content, where each `mine.py:name` that lies beside the board says so."""
    placed = dict(content)
    for kind in ("scenarios", "strategies"):
        if kind in placed:
            placed[kind] = _all_beside(file, placed[kind])
    if isinstance(placed.get("on"), dict):
        placed["on"] = {_beside(file, name): _all_beside(file, where) for name, where in placed["on"].items()}
    for table in (placed.get("model"), *_models_of_scenarios(placed)):
        if isinstance(table, dict) and "name" in table:
            table["name"] = _beside(file, table["name"])
    for kind, place in (("claims", _all_beside), ("targets", _target_beside)):
        if isinstance(placed.get(kind), list):
            placed[kind] = [place(file, one) for one in placed[kind]]
    return placed


def _models_of_scenarios(content: Mapping[str, Any]) -> list[Any]:
    """Return the tables `[set.SCENARIO.model]`."""
    tables = content.get("set")
    owners = tables.values() if isinstance(tables, dict) else ()
    return [table.get("model") for table in owners if isinstance(table, dict)]


def _beside(file: Path, name: Any) -> Any:
    """Put the board's folder before `mine.py:name` where that file lies beside the board."""
    path, colon, entry = str(name).partition(".py:")
    beside = file.parent / f"{path}.py"
    return f"{beside}:{entry}" if colon and beside.is_file() else name


def _all_beside(file: Path, names: Any) -> Any:
    """Do the same for each of a list of names."""
    return [_beside(file, name) for name in names] if isinstance(names, list) else names


def _target_beside(file: Path, target: Any) -> Any:
    """Do the same for the scenario and the strategy of a target."""
    if not isinstance(target, dict):
        return target
    return {key: _beside(file, name) if key in ("scenario", "strategy") else name for key, name in target.items()}


def _line(text: str, location: tuple[str | int, ...]) -> str:
    """Return `:line` where a key is set, as well as the text shows it; empty where it cannot be told."""
    lines = list(enumerate(text.splitlines(), start=1))
    match location:
        case (str(table), int(index), *_):
            lines = _of_table(lines, table, index) or lines
    names = [str(part) for part in location if isinstance(part, str)]
    for name in reversed(names):
        pattern = re.compile(rf"^\s*(\[.*\b)?{re.escape(name)}\b")
        for number, line in lines:
            if pattern.match(line):
                return f":{number}"
    return ""


def _of_table(lines: list[tuple[int, str]], table: str, index: int) -> list[tuple[int, str]]:
    """Return the lines of one of several tables that share a name, from its `[[name]]` to the next."""
    heads = [at for at, (_, line) in enumerate(lines) if re.match(rf"\s*\[\[\s*{re.escape(table)}\s*\]\]", line)]
    return lines[heads[index] : [*heads, len(lines)][index + 1]] if index < len(heads) else []
