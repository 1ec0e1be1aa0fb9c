"""Searches, trial by trial, for the parameters of one strategy on one scenario."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from statistics import fmean
from typing import Any

import optuna
from optuna.distributions import distribution_to_json
from optuna.samplers import TPESampler
from optuna.trial import FrozenTrial, create_trial

from lifelong.contracts import Strategy
from lifelong.records.metrics import RUN_METRICS
from lifelong.records.record import Record
from lifelong.training.job import Job
from lifelong.tuning.journal import study_in
from lifelong.tuning.space import Space

WORST = 0.0
"""The value of a trial in which a run has failed, so that the sampler avoids its neighbours."""
Parameters = Mapping[str, Any]


@dataclass(frozen=True)
class Study:
    """Searches by tree-structured Parzen estimators (Bergstra et al. 2011), with Optuna's own settings.

    The first trial is the board's own parameters. What a trial tries follows from those before it and its number
    alone, so that a study taken up again goes on as if it had never been left. No trial is ended early.

    Args:
        strategy: the strategy whose parameters are chosen.
        jobs: a run of each seed, with the board's own parameters.
        space: what is to be chosen.
        trials: how many trials are to be made.
    """

    strategy: Strategy
    jobs: Sequence[Job]
    space: Space
    trials: int

    @cached_property
    def key(self) -> str:
        """The hash of all that its trials share, and of what they choose from."""
        space = {name: distribution_to_json(distribution) for name, distribution in self.space.items()}
        identity = {"runs": [job.spec.model_dump(mode="json") for job in self.jobs], "space": space}
        return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()

    @property
    def scenario(self) -> str:
        """The scenario's name."""
        return self.jobs[0].spec.scenario.name

    @property
    def defaults(self) -> Parameters:
        """The board's own values of what is chosen."""
        return {name: self.jobs[0].spec.strategy.parameters[name] for name in self.space}

    @cached_property
    def _stored(self) -> optuna.Study:
        """The study on disk, which holds trials that are over alone: a file beside the records."""
        job = self.jobs[0]
        file = job.store.path(job.spec).with_name(f"study-{self.key[:12]}.journal")
        return study_in(file, f"{job.board} {self.scenario} {self.strategy.name} {self.key[:12]}")

    @property
    def done(self) -> list[FrozenTrial]:
        """The trials that are over."""
        return self._stored.get_trials()[: self.trials]

    def proposal(self) -> Parameters | None:
        """Return what the next trial is to try; None where all have been made."""
        done = self.done
        if len(done) == self.trials:
            return None
        if not done:
            return self.defaults
        so_far = optuna.create_study(sampler=TPESampler(seed=len(done)), direction="maximize")
        so_far.add_trials(done)
        return so_far.ask(dict(self.space)).params

    def runs(self, chosen: Parameters) -> list[Job]:
        """Return the runs of a trial, one for each seed."""
        return [replace(job, spec=job.spec.model_copy(update=self._with(job, chosen))) for job in self.jobs]

    def _with(self, job: Job, chosen: Parameters) -> dict[str, Any]:
        parameters = self.strategy.resolve({**job.spec.strategy.parameters, **chosen})
        return {"strategy": job.spec.strategy.model_copy(update={"parameters": parameters})}

    def add(self, chosen: Parameters, records: Sequence[Record]) -> None:
        """Write down what a trial came to: the mean over its seeds of the average accuracy after the last experience.

        Args:
            chosen: what it tried.
            records: of its runs.
        """
        told: dict[str, Any] = {"records": [record.key for record in records]}
        if failures := [record for record in records if not record.ok]:
            told["failed"] = f"seed {failures[0].spec.seed}: {failures[0].status}: {failures[0].reason}"
        value = WORST if failures else fmean(map(_score, records))
        trial = create_trial(params=dict(chosen), distributions=dict(self.space), value=value, user_attrs=told)
        self._stored.add_trial(trial)


def _score(record: Record) -> float:
    R = record.matrix()
    assert R is not None
    return float(RUN_METRICS["average_accuracy"](record, R))
