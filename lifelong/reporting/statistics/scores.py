"""Arranges records for comparison: for each scenario, who took part, with a value for each seed."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from lifelong.boards.plan import Cell
from lifelong.contracts import Role
from lifelong.measures.continual import Matrix
from lifelong.records.metrics import RUN_METRICS
from lifelong.records.record import Record
from lifelong.records.spec import Choice, Spec
from lifelong.reporting.statistics.bootstrap import Values

ABSENT = -1
"""Stands for the column of an entrant that does not take part."""


@dataclass(frozen=True, eq=False)
class Entrant:
    """One strategy, with one setting of its parameters, on one scenario."""

    label: str
    """The strategy's name; where two entrants share it, followed by the parameters in which they differ."""
    choice: Choice
    identity: str
    """A hash of the strategy and its parameters, the same on every scenario."""
    role: Role
    records: tuple[Record, ...]
    """All of its records, failed ones too, in the order of seeds."""
    planned: int
    """The number of runs that the board plans."""
    matrices: Mapping[int, Matrix]
    """R of each run that is ok, by seed."""
    references: Mapping[int, Matrix]
    """R of the reference, against which intransigence is measured, by seed."""

    @property
    def strategy(self) -> str:
        """The strategy's name."""
        return self.choice.name

    def values(self, metric: str) -> dict[int, float]:
        """Return one of `RUN_METRICS` by seed, without the seeds for which it is not defined."""
        function = RUN_METRICS[metric]
        values = {}
        for record in self.records:
            R = self.matrices.get(seed := record.spec.seed)
            if R is not None:
                reference = self.references.get(seed)
                comparable = reference is not None and reference.shape == R.shape
                values[seed] = function(record, R, reference if comparable else None)
        return {seed: value for seed, value in values.items() if not math.isnan(value)}


@dataclass(frozen=True, eq=False)
class Contest:
    """A scenario under one model and budget, and all who took part or should have."""

    scenario: str
    """Its name, followed by what sets it apart where several settings share the name."""
    setting: str
    """The hash of all that the entrants share (`Spec.setting`)."""
    entrants: tuple[Entrant, ...]
    impossible: tuple[str, ...] = ()
    """A sentence for each strategy that was planned and cannot take part, with the reason."""
    _values: dict[str, Values] = field(default_factory=dict, init=False, repr=False)
    """The values that have been asked for already, by metric."""

    @cached_property
    def labels(self) -> tuple[str, ...]:
        return tuple(entrant.label for entrant in self.entrants)

    @cached_property
    def seeds(self) -> tuple[int, ...]:
        return tuple(sorted({seed for entrant in self.entrants for seed in entrant.matrices}))

    def values(self, metric: str) -> Values:
        """Return one of `RUN_METRICS`, of shape (seeds, entrants), NaN where a run has no such value."""
        if metric not in self._values:
            self._values[metric] = self._computed(metric)
        return self._values[metric]

    def values_of(self, columns: Sequence[int], metric: str) -> Values:
        """Return the same for chosen entrants, of shape (seeds, columns); all NaN for `ABSENT`."""
        values = self.values(metric)
        return np.asarray(np.column_stack([values, np.full(len(values), np.nan)])[:, columns])

    def _computed(self, metric: str) -> Values:
        values = np.full((len(self.seeds), len(self.entrants)), np.nan)
        rows = {seed: row for row, seed in enumerate(self.seeds)}
        for column, entrant in enumerate(self.entrants):
            for seed, value in entrant.values(metric).items():
                values[rows[seed], column] = value
        return values


def contests(
    records: Iterable[Record],
    roles: Mapping[str, Role],
    cells: Sequence[Cell] = (),
) -> list[Contest]:
    """Arrange records: a contest for each scenario with its model and budget, in the order of their names.

    A strategy whose runs differ in a parameter is several entrants.

    Args:
        records: of any scenarios, strategies and seeds, in any order. Of several with one key the last counts.
        roles: by the strategy's name. A strategy that is not named is a contestant.
        cells: what a board plans. A strategy that has no record yet takes part without one, and those that cannot take
            part are told with the reason.
    """
    runs = _runs(records, cells)
    labels = label_by_parameters({run.identity: run.spec.strategy for run in runs}.values())
    groups: dict[tuple[str, str], list[_Run]] = defaultdict(list)
    for run in runs:
        groups[run.spec.scenario.name, run.setting].append(run)
    titles = _titles({group: own[0].spec for group, own in groups.items()})
    return [
        Contest(
            titles[name, setting],
            setting,
            _entrants(own, roles, labels),
            tuple(dict.fromkeys(cell.reason for cell in cells if not cell.spec and cell.scenario.name == name)),
        )
        for (name, setting), own in sorted(groups.items())
    ]


@dataclass(frozen=True)
class _Run:
    """A run that took place or was planned, with the hashes by which it is arranged: they cost time to make."""

    spec: Spec
    setting: str
    identity: str
    record: Record | None
    planned: bool


def _runs(records: Iterable[Record], cells: Sequence[Cell]) -> list[_Run]:
    unique = {record.key: record for record in records}
    # a record has its key already, a specification would have to be hashed for it
    planned = {cell.record.key if cell.record else cell.spec.key: cell.spec for cell in cells if cell.spec}
    specs = {key: record.spec for key, record in unique.items()}
    return [
        _Run(spec, spec.setting, spec.strategy.identity, unique.get(key), key in planned)
        for key, spec in (planned | specs).items()
    ]


def _entrants(runs: Sequence[_Run], roles: Mapping[str, Role], labels: Callable[[Choice], str]) -> tuple[Entrant, ...]:
    ok = (run.record for run in runs if run.record and run.record.ok)
    matrices = {record.key: R for record in ok if (R := record.matrix()) is not None}
    references = {
        run.spec.seed: matrices[run.record.key]
        for run in runs
        if roles.get(run.spec.strategy.name) == "reference" and run.record and run.record.key in matrices
    }
    own_runs: dict[str, list[_Run]] = defaultdict(list)
    for run in sorted(runs, key=lambda run: run.spec.seed):
        own_runs[run.identity].append(run)
    seeds = {run.spec.seed for run in runs if run.planned}
    entrants = []
    for key, own in own_runs.items():
        choice = own[0].spec.strategy
        records = tuple(run.record for run in own if run.record)
        entrants.append(
            Entrant(
                label=labels(choice),
                choice=choice,
                identity=key,
                role=roles.get(choice.name, "contestant"),
                records=records,
                planned=sum(run.planned for run in own) or len(seeds or records),
                matrices={record.spec.seed: matrices[record.key] for record in records if record.key in matrices},
                references=references,
            )
        )
    return tuple(sorted(entrants, key=lambda entrant: (entrant.label, entrant.identity)))


def label_by_parameters(choices: Iterable[Choice]) -> Callable[[Choice], str]:
    """Make the names of entrants: the strategy's, where several share it with the parameters in which they differ."""
    known: dict[str, dict[str, dict[str, Any]]] = defaultdict(dict)
    for choice in choices:
        known[choice.name][choice.identity] = choice.model_dump(mode="json")
    told = {name: differing(choices_of) for name, choices_of in known.items()}

    def label(choice: Choice) -> str:
        difference = told.get(choice.name, {}).get(choice.identity, "")
        return f"{choice.name} ({difference})" if difference else choice.name

    return label


def all_labels(contests: Iterable[Contest]) -> list[str]:
    """Return the label of each entrant of any contest, once."""
    return list(dict.fromkeys(label for contest in contests for label in contest.labels))


def labels_of(name: str, contests: Iterable[Contest]) -> list[str]:
    """Return the labels that a person may mean by a name.

    Args:
        name: a label, or a strategy's name, alone or with parameters: `ewc (ewc_lambda=0.4)`.
        contests: where the entrants are.
    """
    entrants = {entrant.label: entrant.choice for contest in contests for entrant in contest.entrants}
    if name in entrants:
        return [name]
    strategy, _, rest = name.removesuffix(")").partition(" (")
    wanted = {part for part in rest.split(", ") if part}
    return [
        label
        for label, choice in entrants.items()
        if choice.name == strategy and wanted <= {f"{key}={value}" for key, value in _leaves(choice.parameters)}
    ]


def _titles(groups: Mapping[tuple[str, str], Spec]) -> dict[tuple[str, str], str]:
    """The scenario's name; where several settings share it, followed by the values in which they differ."""
    titles = {}
    for name in {name for name, _ in groups}:
        settings = {
            setting: spec.model_dump(mode="json", exclude={"strategy", "seed"})
            for (scenario, setting), spec in groups.items()
            if scenario == name
        }
        for setting, difference in differing(settings).items():
            titles[name, setting] = f"{name} ({difference})" if difference else name
    return titles


def differing(settings: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Return for each of several nested settings, by key, the values in which they differ.

    >>> differing({"a": {"lr": 0.1, "epochs": 5}, "b": {"lr": 0.2, "epochs": 5}})
    {'a': 'lr=0.1', 'b': 'lr=0.2'}
    """
    leaves = {key: dict(_leaves(setting)) for key, setting in settings.items()}
    names = list(dict.fromkeys(name for own in leaves.values() for name in own))
    told = [name for name in names if len({own.get(name) for own in leaves.values()}) > 1]

    def written(write: Callable[[str], str]) -> dict[str, str]:
        return {
            key: ", ".join(f"{name}={write(own[name])}" for name in told if name in own) for key, own in leaves.items()
        }

    brief = written(_brief)
    return brief if len(set(brief.values())) == len(brief) else written(str)


def _brief(value: str, limit: int = 20) -> str:
    return value if len(value) <= limit else value[: limit - 3] + "..."


def _leaves(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _leaves(inner, path if key == "parameters" else (*path, key))
    else:
        yield ".".join(path), value if isinstance(value, str) else json.dumps(value)
