"""Writes what studies have come to: values for `lifelong run --set`, and a table."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lifelong.boards.tuning import Tuning
from lifelong.records.entries import Tuned
from lifelong.reporting.text.numbers import write
from lifelong.reporting.text.table import NONE, Column, Report, Row, Table
from lifelong.tuning.study import Parameters, Study


@dataclass(frozen=True)
class StudyOutcome:
    """Says what a study has come to.

    Attributes:
        study: the study, all of whose trials have been made.
        tried: the number of its trials.
        failures: why trials failed, a sentence each.
        chosen: the parameters of the best trial, or of the first of several equal ones; None where all have failed.
        value: their average accuracy on the samples held out, in [0, 1]; None where all have failed.
        default: the same of the first trial, which has the board's own parameters; None where it has failed.
    """

    study: Study
    tried: int
    failures: tuple[str, ...]
    chosen: Parameters | None
    value: float | None
    default: float | None


def outcome_of(study: Study) -> StudyOutcome:
    """Return what a study has come to, once all its trials have been made."""
    trials = study.done
    sound = [trial for trial in trials if "failed" not in trial.user_attrs]
    best = max(sound, key=lambda trial: (trial.value, -trial.number), default=None)
    return StudyOutcome(
        study,
        len(trials),
        tuple(trial.user_attrs["failed"] for trial in trials if trial not in sound),
        best.params if best else None,
        best.value if best else None,
        trials[0].value if trials[0] in sound else None,
    )


def outcome_report(outcomes: Iterable[StudyOutcome]) -> Report:
    """Return a table of what studies have come to, with a row for each."""
    names = [Column("scenario", "name"), Column("strategy", "name")]
    numbers = [Column(heading, right=True) for heading in ("trials", "failed", "best ↑", "default ↑")]
    return Report([Table([*names, *numbers, Column("chosen", "text")], list(map(_row, outcomes)))])


def _row(one: StudyOutcome) -> Row:
    values = (NONE if value is None else write(value, "fraction") for value in (one.value, one.default))
    chosen = ", ".join(f"{name} = {_short(value)}" for name, value in (one.chosen or {}).items())
    counts = (str(one.tried), str(len(one.failures)))
    return Row([one.study.scenario, one.study.strategy.name, *counts, *values, chosen or NONE])


def _short(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def as_toml(outcomes: Sequence[StudyOutcome], tuning: Tuning) -> str:
    """Return the parameters that were chosen, and the study behind each, as TOML for `lifelong run --set FILE.toml`."""
    chosen = [(one, entry) for one in outcomes if (entry := tuned(one, tuning)) is not None]
    values = [_table((one.study.scenario, one.study.strategy.name), entry.chosen) for one, entry in chosen]
    studies = [
        _table(("tuning", one.study.scenario, one.study.strategy.name), entry.model_dump(exclude_none=True))
        for one, entry in chosen
    ]
    return "\n".join(["# written by lifelong tune, for lifelong run --set", *values, *studies, ""])


def tuned(outcome: StudyOutcome, tuning: Tuning) -> Tuned | None:
    """Return what the records of runs with the chosen parameters tell about the study; None if nothing was chosen."""
    if not outcome.chosen or outcome.value is None:
        return None
    return Tuned(
        study=outcome.study.key,
        board=outcome.study.jobs[0].board,
        protocol=tuning.protocol,
        validation=tuning.validation,
        seeds=tuning.seeds,
        trials=outcome.tried,
        value=outcome.value,
        default=outcome.default,
        chosen=dict(outcome.chosen),
    )


def _table(path: Sequence[str], values: Parameters) -> str:
    lines = [f"{_key(name)} = {_value(value)}" for name, value in values.items()]
    return "\n".join([f"\n[{'.'.join(map(_key, path))}]", *lines])


def _key(name: str) -> str:
    return name if re.fullmatch(r"[\w-]+", name, re.ASCII) else json.dumps(name)


def _value(value: object) -> str:
    """Return a value as TOML, which writes everything but tables as JSON does."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{_key(name)} = {_value(one)}" for name, one in value.items()) + " }"
    return json.dumps(value)
