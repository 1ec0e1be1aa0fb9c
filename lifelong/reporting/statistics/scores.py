"""From records to what is compared: for each scenario, who took part, with a value for each seed."""

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
"""The column of who does not take part."""


@dataclass(frozen=True, eq=False)
class Entrant:
    """One strategy, with one setting of its parameters, on one scenario."""

    label: str
    """The strategy's name, followed by its parameters where another entrant differs in nothing else."""
    choice: Choice
    identity: str
    """The same for the same strategy with the same parameters, on whatever scenario."""
    role: Role
    records: tuple[Record, ...]
    """Every one, failed ones too, by seed."""
    planned: int
    """The runs that the board plans."""
    matrices: Mapping[int, Matrix]
    """R of the runs that are ok, by seed."""
    references: Mapping[int, Matrix]
    """What intransigence is measured against, by seed."""

    @property
    def strategy(self) -> str:
        """The strategy's name."""
        return self.choice.name

    def values(self, metric: str) -> dict[int, float]:
        """One of `RUN_METRICS` by seed, those left out for which it is not defined."""
        function = RUN_METRICS[metric]
        found = {}
        for record in self.records:
            R = self.matrices.get(seed := record.spec.seed)
            if R is not None:
                reference = self.references.get(seed)
                comparable = reference is not None and reference.shape == R.shape
                found[seed] = function(record, R, reference if comparable else None)
        return {seed: value for seed, value in found.items() if not math.isnan(value)}


@dataclass(frozen=True, eq=False)
class Contest:
    """A scenario under one model and budget, and all who took part or should have."""

    scenario: str
    """Its name, followed by what sets it apart where several settings share the name."""
    setting: str
    """The hash of all that the entrants share (`Spec.setting`)."""
    entrants: tuple[Entrant, ...]
    impossible: tuple[str, ...] = ()
    """Who was planned and cannot take part, with the reason, a sentence each."""
    _values: dict[str, Values] = field(default_factory=dict, init=False, repr=False)
    """By metric, what has been asked for once."""

    @cached_property
    def labels(self) -> tuple[str, ...]:
        return tuple(entrant.label for entrant in self.entrants)

    @cached_property
    def seeds(self) -> tuple[int, ...]:
        return tuple(sorted({seed for entrant in self.entrants for seed in entrant.matrices}))

    def values(self, metric: str) -> Values:
        """One of `RUN_METRICS`, of shape (seeds, entrants), NaN where there is none."""
        if metric not in self._values:
            self._values[metric] = self._computed(metric)
        return self._values[metric]

    def values_of(self, columns: Sequence[int], metric: str) -> Values:
        """The same, of shape (seeds, columns), for chosen entrants; all NaN for `ABSENT`."""
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
    labels: Callable[[Choice], str] | None = None,
) -> list[Contest]:
    """Records that belong together, arranged: a contest for each scenario with its model and budget, by name.

    Args:
        records: of any scenarios, strategies and seeds, in any order; of several with one key, the last counts.
        roles: by the strategy's name; who is not named is a contestant.
        cells: what a board plans: who has no record yet takes part with none, and who cannot is told.
        labels: the name of an entrant; `label_by_parameters` by default. Strategies that differ in a parameter are
            separate entrants, whatever their labels are.
    """
    runs = _runs(records, cells)
    labels = labels or label_by_parameters({run.identity: run.spec.strategy for run in runs}.values())
    groups: dict[tuple[str, str], list[_Run]] = defaultdict(list)
    for run in runs:
        groups[run.spec.scenario.name, run.setting].append(run)
    titles = _titles({group: found[0].spec for group, found in groups.items()})
    return [
        Contest(
            titles[name, setting],
            setting,
            _entrants(found, roles, labels),
            tuple(dict.fromkeys(cell.reason for cell in cells if not cell.spec and cell.scenario.name == name)),
        )
        for (name, setting), found in sorted(groups.items())
    ]


@dataclass(frozen=True)
class _Run:
    """What took place or was planned, with the hashes by which it is arranged, made once: they are what costs time."""

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
    found: dict[str, list[_Run]] = defaultdict(list)
    for run in sorted(runs, key=lambda run: run.spec.seed):
        found[run.identity].append(run)
    seeds = {run.spec.seed for run in runs if run.planned}
    entrants = []
    for key, own in found.items():
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
    """Names for entrants: the strategy's, followed by its parameters where another differs in nothing else."""
    known: dict[str, dict[str, dict[str, Any]]] = defaultdict(dict)
    for choice in choices:
        known[choice.name][choice.identity] = choice.model_dump(mode="json")
    told = {name: differing(found) for name, found in known.items()}

    def label(choice: Choice) -> str:
        difference = told.get(choice.name, {}).get(choice.identity, "")
        return f"{choice.name} ({difference})" if difference else choice.name

    return label


def all_labels(contests: Iterable[Contest]) -> list[str]:
    """Everyone who takes part anywhere, once."""
    return list(dict.fromkeys(label for contest in contests for label in contest.labels))


def labels_of(name: str, contests: Iterable[Contest]) -> list[str]:
    """The labels that a person may mean.

    Args:
        name: a label, or a strategy's name, alone or with parameters, as `ewc (ewc_lambda=0.4)`.
        contests: where they may stand.
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
    """The scenario's name, followed by what sets apart the settings that share it."""
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
    """For each of several nested settings by key, the values in which they differ, as `lr=0.1, budget.epochs=5`."""
    leaves = {key: dict(_leaves(setting)) for key, setting in settings.items()}
    names = list(dict.fromkeys(name for found in leaves.values() for name in found))
    told = [name for name in names if len({found.get(name) for found in leaves.values()}) > 1]

    def written(write: Callable[[str], str]) -> dict[str, str]:
        return {
            key: ", ".join(f"{name}={write(found[name])}" for name in told if name in found)
            for key, found in leaves.items()
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
