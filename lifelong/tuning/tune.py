"""Carries many studies on side by side: one trial of each at a time, whose runs are shared among the workers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing

from lifelong.records.record import Record, read
from lifelong.running.launch import Options, worker_count
from lifelong.running.scheduler import Advanced, Finished, refuse_what_cannot_be_built, run_all
from lifelong.training.job import Job
from lifelong.tuning.study import Study

Tell = Callable[[Advanced | Finished], None]


def tune(studies: Sequence[Study], options: Options, tell: Tell) -> None:
    """Make the trials that are missing. A run that has a record is not run again.

    Args:
        studies: the studies.
        options: how to run the trials.
        tell: is called with each event of a run.

    Raises:
        UsageError: if a strategy cannot be built with the board's own parameters. Nothing has been trained by then.
    """
    if unfinished := [study for study in studies if study.proposal() is not None]:
        refuse_what_cannot_be_built([job for study in unfinished for job in study.jobs], options.timeout_s)
    while proposed := [(study, chosen) for study in studies if (chosen := study.proposal()) is not None]:
        trials = [(study, chosen, study.runs(chosen)) for study, chosen in proposed]
        records = _records([job for _, _, jobs in trials for job in jobs], options, tell)
        for study, chosen, jobs in trials:
            study.add(chosen, [records[job.spec.key] for job in jobs])


def _records(jobs: Sequence[Job], options: Options, tell: Tell) -> dict[str, Record]:
    """Return the records of jobs by key. Jobs that have no record yet are carried out."""
    records = {job.spec.key: record for job in jobs if (record := _there(job)) is not None}
    missing = [job for job in jobs if job.spec.key not in records]
    with closing(run_all(missing, worker_count(options.workers, len(missing)), options.timeout_s)) as events:
        for event in events:
            if isinstance(event, Finished):
                records[event.record.key] = event.record
            tell(event)
    return records


def _there(job: Job) -> Record | None:
    """Return the record that a run has left; None if there is none, or it cannot be read."""
    try:
        record = read(job.store.path(job.spec))
    except (OSError, ValueError):
        return None
    return record if record.key == job.spec.key else None
