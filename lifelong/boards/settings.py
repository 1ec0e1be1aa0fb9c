"""Resolves the parameters, models and budgets of a plan's runs: the user's values, else the board's, else defaults."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from lifelong.boards.board import Board
from lifelong.contracts import Entry, Scenario, Strategy
from lifelong.errors import UsageError, unknown
from lifelong.records.entries import Tuned
from lifelong.records.spec import LENGTHS, Budget, Choice, Spec
from lifelong.registry import scenarios, strategies

SHARED = ("budget", "model")
"""Owners of parameters that are neither scenario nor strategy."""

Layer = dict[tuple[str, str], dict[str, Any]]
"""The values of parameters, by scenario (empty for all scenarios) and by the owner of the parameters."""


class Settings:
    """The values that each cell of a plan is run with. What is set for one scenario goes before what is set for all.

    Args:
        board: the board, which may set values in `set`, `budget` and `model`.
        assignments: the user's values, each `owner.parameter=value`, `scenario.owner.parameter=value`, or a TOML file.
            Such a file may say under `tuning` which study its values come from.
        streams: the scenarios of the plan.
        methods: the strategies of the plan.

    Raises:
        UsageError: if a value is set for something that does not exist, or has the wrong type.
    """

    def __init__(
        self, board: Board, assignments: Sequence[str], streams: Collection[Scenario], methods: Collection[Strategy]
    ) -> None:
        self._entries: dict[str, Entry] = {entry.name: entry for entry in (*streams, *methods)}
        tables = {**board.set, "budget": board.budget, "model": board.model}
        asked = _of_user(assignments)
        self._studies = dict(_studies(asked.pop("tuning", {})))
        self._layers = [self._layer(tables), self._layer(self._to_run(asked), asked=True)]
        self._code = {name: _sha256(entry.file) for name, entry in self._entries.items() if entry.file}
        self._shared = {scenario.name: (*self._model_of(scenario), self._budget_of(scenario)) for scenario in streams}
        self._choices: dict[tuple[str, str], Choice] = {}
        for scenario in streams:
            for entry in (scenario, *methods):
                self._choose(scenario.name, entry)  # refuses wrong values

    def spec(self, scenario: Scenario, strategy: Strategy, seed: int) -> Spec:
        """Return the fully resolved specification of a cell."""
        _, model, budget = self._shared[scenario.name]
        stream, method = self._choose(scenario.name, scenario), self._choose(scenario.name, strategy)
        return Spec(scenario=stream, strategy=method, model=model, budget=budget, seed=seed)

    def model(self, scenario: Scenario) -> str:
        """Return the name, or `file.py:name`, by which a worker finds the model of a scenario's cells."""
        return self._shared[scenario.name][0]

    def tuned(self, spec: Spec) -> Tuned | None:
        """Return the study that chose the strategy's parameters; None without a study, or if they were set again."""
        study = self._studies.get((spec.scenario.name, spec.strategy.name))
        if study is None or not study.chosen.items() <= spec.strategy.parameters.items():
            return None
        return study

    def _to_run(self, asked: Mapping[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        """Leave out what studies have chosen for scenarios and strategies that the plan does not have."""
        elsewhere = [pair for pair in self._studies if not self._entries.keys() >= set(pair)]
        for scenario, strategy in elsewhere:
            asked.get(scenario, {}).pop(strategy, None)
        emptied = {scenario for scenario, _ in elsewhere}
        return {owner: values for owner, values in asked.items() if values or owner not in emptied}

    def _layer(self, tables: Mapping[str, Mapping[str, Any]], asked: bool = False) -> Layer:
        """Sort the tables of a file. The table of a scenario may hold tables of strategies, of budget and of model."""
        layer: Layer = {}
        for owner, values in tables.items():
            self._know(owner, asked)
            plain = {name: value for name, value in values.items() if not self._is_owner(owner, name, value)}
            layer["", owner] = plain
            for name in values.keys() - plain.keys():
                self._know(name, asked)
                layer[owner, name] = values[name]
        return layer

    def _is_owner(self, owner: str, name: str, value: Any) -> bool:
        """Tell whether a value in a scenario's table is a table of another owner's parameters."""
        stream = self._entries.get(owner) or scenarios.all().get(owner)
        return isinstance(stream, Scenario) and isinstance(value, Mapping) and name not in stream.parameters

    def _know(self, owner: str, asked: bool) -> None:
        here = {*self._entries, *SHARED}
        if owner in here:
            return
        installed = {*strategies.all(), *scenarios.all()}
        if asked:
            if owner in installed:
                raise UsageError(f"--set {owner}: {owner} is not among what is to run")
            raise UsageError(f"--set {owner}: {unknown('strategy or scenario', owner, here)}")
        if owner not in installed:
            raise unknown("strategy or scenario", owner, here | installed)

    def _values(self, scenario: str, owner: str) -> dict[str, Any]:
        """Return what is set for an owner on a scenario."""
        values: dict[str, Any] = {}
        for layer in self._layers:
            for where in ("", scenario):
                values = _over(values, layer.get((where, owner), {}))
        return values

    def _choose(self, scenario: str, entry: Entry) -> Choice:
        """Return an entry's choice on a scenario. Scenarios without values of their own share one."""
        own = _follows(entry) or any((scenario, entry.name) in layer for layer in self._layers)
        where = scenario if own else ""
        if (where, entry.name) not in self._choices:
            self._choices[where, entry.name] = Choice(
                name=entry.name,
                version=entry.version,
                parameters=entry.resolve(self._with_followed(where, entry)),
                code_sha256=self._code.get(entry.name),
            )
        return self._choices[where, entry.name]

    def _with_followed(self, scenario: str, entry: Entry) -> dict[str, Any]:
        """Return what is set for an entry; a control follows another strategy as that one is set itself.

        Raises:
            UsageError: if a control follows what does not exist.
        """
        values = self._values(scenario, entry.name)
        if not _follows(entry):
            return values
        followed = entry.parameters["of"].check(entry.name, values.get("of", entry.parameters["of"].default))
        own = self._entries.get(followed)
        if own is not None and own.file is not None:
            reference = f"{own.file.name}:{own.function.__name__}"
            raise UsageError(f"{entry.name}.of = {followed!r}: name its file too, such as {reference!r}")
        name = (own or strategies.get(followed)).name
        inherited = self._values(scenario, name)
        return {"parameters": inherited, **values} if inherited else values

    def _model_of(self, scenario: Scenario) -> tuple[str, Choice]:
        from lifelong.models import models
        from lifelong.models.contract import as_stored

        wished = self._values(scenario.name, "model")
        named = wished.get("name", scenario.model["name"])
        if not isinstance(named, str):
            raise UsageError(f"model.name = {named!r}: write a model's name, such as 'mlp'")
        default = scenario.model if named == scenario.model["name"] else {}
        parameters = {**default, **wished}
        parameters.pop("name", None)
        model = models.get(named)
        choice = Choice(
            name=model.name,
            version=model.version,
            parameters=as_stored(model.resolve(parameters)),
            code_sha256=_sha256(model.file) if model.file else None,
        )
        return reference_of(named, model), choice

    def _budget_of(self, scenario: Scenario) -> Budget:
        try:
            budget = Budget.model_validate(_over(scenario.budget, self._values(scenario.name, "budget")))
            if budget.label_smoothing and scenario.criterion != "cross-entropy":
                raise UsageError(f"budget.label_smoothing is for classes, which {scenario.name} does not have")
            return budget
        except ValidationError as error:
            detail = error.errors()[0]
            if not detail["loc"]:
                raise UsageError(f"budget: {detail['msg'].removeprefix('Value error, ')}") from None
            name = str(detail["loc"][0])
            if detail["type"] == "extra_forbidden":
                raise unknown("budget setting", name, Budget.model_fields) from None
            raise UsageError(f"budget.{name} = {detail['input']!r}: {detail['msg']}") from None


def reference_of(reference: str, entry: Entry) -> str:
    """Return the name by which another process, in another folder, finds the same entry.

    Args:
        reference: the name by which it was found here.
        entry: what was found.
    """
    return reference if entry.file is None else f"{entry.file}:{reference.rpartition(':')[2]}"


def _follows(entry: Entry) -> bool:
    """Tell whether an entry is a control of another strategy, which it names."""
    return {"of", "parameters"} <= entry.parameters.keys()


def _over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Put values above others. One of a budget's `LENGTHS` replaces whichever of them is below."""
    replaced = LENGTHS if any(name in above for name in LENGTHS) else ()
    return {name: value for name, value in below.items() if name not in replaced} | dict(above)


def _studies(tables: Mapping[str, Any]) -> Iterator[tuple[tuple[str, str], Tuned]]:
    """Yield what a file of `lifelong tune` says about its values, by scenario and strategy."""
    for scenario, studies in tables.items():
        for strategy, study in studies.items() if isinstance(studies, Mapping) else [("", studies)]:
            try:
                yield (scenario, strategy), Tuned.model_validate(study)
            except ValidationError as error:
                detail = error.errors()[0]
                where = ".".join(("tuning", scenario, strategy, *map(str, detail["loc"])))
                raise UsageError(
                    f"--set {where}: {detail['msg']}; leave out [tuning] if you wrote it yourself"
                ) from None


def _of_user(assignments: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Merge all assignments into tables; later ones replace earlier ones."""
    tables: dict[str, dict[str, Any]] = {}
    for assignment in assignments:
        if assignment.endswith(".toml") and "=" not in assignment:
            _merge(tables, _read(Path(assignment)))
        else:
            *owners, parameter = _path(assignment)
            table: dict[str, Any] = {parameter: parse_value(assignment.partition("=")[2].strip())}
            for owner in reversed(owners):
                table = {owner: table}
            _merge(tables, table)
    return tables


def _path(assignment: str) -> list[str]:
    """Split the left side of an assignment into `owner` and `parameter`, perhaps with a scenario before them.

    Raises:
        UsageError: if there are fewer or more parts.
    """
    target, equals, _ = assignment.partition("=")
    parts = target.strip().split(".")
    if not equals or not all(parts) or not 2 <= len(parts) <= 3:
        raise UsageError(
            f"--set {assignment!r}: write it as ewc.ewc_lambda=0.4 or budget.epochs=2, for one scenario as "
            "digits-task.ewc.ewc_lambda=0.4, or name a .toml file"
        )
    return parts


def _merge(below: dict[str, Any], above: Mapping[str, Any]) -> None:
    for name, value in above.items():
        if isinstance(value, Mapping) and isinstance(below.get(name), dict):
            _merge(below[name], value)
        else:
            below[name] = dict(value) if isinstance(value, Mapping) else value


def _read(file: Path) -> dict[str, dict[str, Any]]:
    """Read a file of tables like those in a board's `[set]`.

    Raises:
        UsageError: if it cannot be read, or holds anything else.
    """
    try:
        content = tomllib.loads(file.expanduser().read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"--set {file}: {error.strerror}") from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise UsageError(f"--set {file} is not TOML: {error}") from None
    for owner, values in content.items():
        if not isinstance(values, dict):
            raise UsageError(
                f"--set {file}: {owner!r} stands alone; write its owner above it, such as [budget] or [ewc]"
            )
    return content


def parse_value(text: str) -> Any:
    """Read a value that is written as in TOML; text without quotes is a string.

    >>> parse_value("0.4"), parse_value("[1, 2]"), parse_value("true"), parse_value("adam")
    (0.4, [1, 2], True, 'adam')
    """
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (tomllib.TOMLDecodeError, RecursionError):
        return text


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
