"""Carries one study on, trial by trial: it tries parameters of one strategy on one scenario."""

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
"""The value of a trial with a failed run. It is the lowest, so that the sampler avoids similar parameters."""
Parameters = Mapping[str, Any]


@dataclass(frozen=True)
class Study:
    """Searches parameters by tree-structured Parzen estimators (Bergstra et al. 2011), with Optuna's own settings.

    The first trial has the board's own parameters. What a later trial tries depends only on its number and on the
    trials before it, so that a study that is resumed goes on as if it had never been interrupted. No trial is ended
    early.

    Args:
        strategy: the strategy whose parameters are chosen.
        jobs: a run for each seed, with the board's own parameters.
        space: the values that each parameter may have.
        trials: the number of trials to make.
    """

    strategy: Strategy
    jobs: Sequence[Job]
    space: Space
    trials: int

    @cached_property
    def key(self) -> str:
        """Return the hash of everything that the trials share, and of the values that they choose from."""
        space = {name: distribution_to_json(distribution) for name, distribution in self.space.items()}
        identity = {"runs": [job.spec.model_dump(mode="json") for job in self.jobs], "space": space}
        return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()

    @property
    def scenario(self) -> str:
        """Return the scenario's name."""
        return self.jobs[0].spec.scenario.name

    @property
    def defaults(self) -> Parameters:
        """Return the board's own values of the parameters that are chosen."""
        return {name: self.jobs[0].spec.strategy.parameters[name] for name in self.space}

    @cached_property
    def _stored(self) -> optuna.Study:
        """Return the study on disk, a file beside the records. It holds only trials that are over."""
        job = self.jobs[0]
        file = job.store.path(job.spec).with_name(f"study-{self.key[:12]}.journal")
        return study_in(file, f"{job.board} {self.scenario} {self.strategy.name} {self.key[:12]}")

    @property
    def done(self) -> list[FrozenTrial]:
        """Return the trials that are over."""
        return self._stored.get_trials()[: self.trials]

    def proposal(self) -> Parameters | None:
        """Return the parameters that the next trial is to try; None if all trials have been made."""
        done = self.done
        if len(done) == self.trials:
            return None
        if not done:
            return self.defaults
        so_far = optuna.create_study(sampler=TPESampler(seed=len(done)), direction="maximize")
        so_far.add_trials(done)
        return so_far.ask(dict(self.space)).params

    def runs(self, chosen: Parameters) -> list[Job]:
        """Return the runs of a trial, one for each seed.

        Args:
            chosen: the parameters that the trial tries.
        """
        return [replace(job, spec=job.spec.model_copy(update=self._with(job, chosen))) for job in self.jobs]

    def _with(self, job: Job, chosen: Parameters) -> dict[str, Any]:
        parameters = self.strategy.resolve({**job.spec.strategy.parameters, **chosen})
        return {"strategy": job.spec.strategy.model_copy(update={"parameters": parameters})}

    def add(self, chosen: Parameters, records: Sequence[Record]) -> None:
        """Store what a trial came to: the mean over its seeds of the average accuracy after the last experience.

        Args:
            chosen: the parameters that it tried.
            records: the records of its runs.
        """
        attributes: dict[str, Any] = {"records": [record.key for record in records]}
        if failures := [record for record in records if not record.ok]:
            attributes["failed"] = f"seed {failures[0].spec.seed}: {failures[0].status}: {failures[0].reason}"
        value = WORST if failures else fmean(map(_score, records))
        trial = create_trial(params=dict(chosen), distributions=dict(self.space), value=value, user_attrs=attributes)
        self._stored.add_trial(trial)


def _score(record: Record) -> float:
    R = record.matrix()
    assert R is not None
    return float(RUN_METRICS["average_accuracy"](record, R))
