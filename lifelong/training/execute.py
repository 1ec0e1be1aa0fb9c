"""One run, in this process: train on each experience, score on all of them, and return a record."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from typing import Any

import torch
from avalanche.benchmarks import CLScenario
from torch import Tensor

from lifelong.contracts import Scenario, Strategy
from lifelong.data.resident import images_of
from lifelong.measures.capacity import Size, measure
from lifelong.records.bounds import MAX_NAME, plain
from lifelong.records.entries import Capacity, Drift, Learning, Times
from lifelong.records.provenance import peak_memory_mb, provenance
from lifelong.records.record import Record
from lifelong.seeds import untouched_generators
from lifelong.training import checkpoint
from lifelong.training.arithmetic import arithmetic
from lifelong.training.checkpoint import Progress
from lifelong.training.evaluation import evaluate, inspect_strategy, sample
from lifelong.training.events import clocks, events_of, finite, newborn
from lifelong.training.job import Job
from lifelong.training.kept import keep_network
from lifelong.training.meter import Meter, meter_of
from lifelong.training.prepare import Prepared, build_benchmark, prepare
from lifelong.training.train import train

Report = Callable[[int, int], None]
"""A function that is called before each experience, with the number of experiences done and the number of all."""
INSPECTED = 512
"""The largest number of test samples on which a network's plasticity is measured after each experience."""


def execute(job: Job, scenario: Scenario, strategy: Strategy, report: Report | None = None) -> Record:
    """Carry out a run from its start, or from its checkpoint.

    Args:
        job: the run.
        scenario: the scenario that the job names.
        strategy: the strategy that the job names.
        report: a function that is told of the progress (see `Report`); None for none.

    Returns:
        The run's record, with status ok.

    Raises:
        UsageError: if the benchmark, the network or the strategy cannot be built.
        DataError: if the scenario's data cannot be read.
        FloatingPointError: if a weight is no longer finite after an experience.
    """
    with arithmetic(job.device):
        return _execute(job, scenario, strategy, report)


def _execute(job: Job, scenario: Scenario, strategy: Strategy, report: Report | None) -> Record:
    started = time.perf_counter()
    benchmark = build_benchmark(job.spec, scenario, job.data, job.device)
    prepared = prepare(job.spec, scenario, strategy, benchmark, job.device, job.network)
    path = job.store.checkpoint(job.spec)
    progress = checkpoint.load(path, images_of(benchmark)) or _fresh(prepared, scenario)
    run = _Run(benchmark, progress, scenario, strategy.offline)
    setup_s = time.perf_counter() - started
    saved = time.perf_counter()
    if not progress.accuracy:
        prepared.begin()
        run.score([])
    total = len(run.trainings)
    for done in range(len(progress.accuracy) - 1, total):
        if report is not None:
            report(done, total)
        run.advance(run.trainings[done])
        if done + 1 < total and time.perf_counter() - saved >= job.checkpoint_s:
            spent_s = progress.before_s + time.perf_counter() - started
            checkpoint.save(path, replace(progress, before_s=spent_s))
            saved = time.perf_counter()
    if job.keep_network:
        keep_network(progress.strategy.model, job.store.path(job.spec))
    if report is not None:
        report(total, total)
    times = Times(
        setup_s=setup_s,
        train_s=progress.train_s,
        eval_s=progress.eval_s,
        total_s=progress.before_s + time.perf_counter() - started,
    )
    return _record(job, benchmark, progress, run.matrix(), times)


def _record(
    job: Job, benchmark: CLScenario, progress: Progress, matrix: list[list[float | None]], times: Times
) -> Record:
    return Record(
        schema=1,
        key=job.spec.key,
        board=job.board,
        spec=job.spec,
        status="ok",
        accuracy=matrix,
        capacity=progress.capacity,
        learning=progress.learning,
        events=events_of(progress.strategy.plugins),
        drifts=[Drift.model_validate(asdict(drift)) for drift in getattr(benchmark, "drifts", ())],
        times=times,
        peak_memory_mb=peak_memory_mb(),
        provenance=provenance(
            job.device, torch.get_num_threads(), getattr(benchmark, "data_sha256", None), progress.resumed, job.tuned
        ),
    )


def _fresh(prepared: Prepared, scenario: Scenario) -> Progress:
    meter = meter_of(prepared.strategy)
    meter.classifies = scenario.criterion == "cross-entropy"
    return Progress(prepared.strategy, meter)


class _Run:
    """The steps of the loop, each of them timed: train, score, and measure the network.

    Attributes:
        trainings: for each training, the positions in the stream of the experiences that it trains on together.
    """

    def __init__(self, benchmark: CLScenario, progress: Progress, scenario: Scenario, offline: bool) -> None:
        self._train, self._test = benchmark.train_stream, benchmark.test_stream
        everything = list(range(len(self._test)))
        self.trainings = [everything] if offline else [[index] for index in everything]
        self._always = everything if scenario.scored == "all" else []
        self._classifies = scenario.criterion == "cross-entropy"
        self._ordered = scenario.ordered and not offline
        self._progress = progress
        self._probe = [column.to(progress.strategy.device) for column in _first(self._train[0].dataset)]

    def advance(self, training: list[int]) -> None:
        """Train on some experiences, then score and measure the network."""
        born_before = clocks(self._progress.strategy.plugins)
        self._learn(training)
        self.score(training, newborn(born_before))

    def _learn(self, training: list[int]) -> None:
        started = time.perf_counter()
        strategy = self._progress.strategy
        experiences = [self._train[index] for index in training]
        train(strategy, experiences, in_order=self._ordered)
        self._progress.train_s.append(time.perf_counter() - started)
        if not all(torch.isfinite(parameter).all() for parameter in strategy.model.parameters()):
            raise FloatingPointError(
                f"the weights are no longer finite after experience {len(self._progress.train_s)}: "
                "a lower learning rate or a weaker penalty may help"
            )

    def score(self, training: list[int], born: Mapping[str, Tensor] | None = None) -> None:
        """Add a row of R, and measure the network.

        Args:
            training: the experiences of the last training; empty before any training.
            born: the units born in that training (see `newborn`).
        """
        started = time.perf_counter()
        progress = self._progress
        strategy = progress.strategy
        strategy.model.to(strategy.device)
        progress.accuracy.append(self._row(training))
        progress.capacity.append(_capacity(measure(strategy.model, *self._probe), progress.meter))
        if training:
            progress.learning.append(self._learning(training, born))
        progress.eval_s.append(time.perf_counter() - started)

    def _row(self, training: list[int]) -> list[float | None]:
        row: list[float | None] = [None] * len(self._test)
        columns = (self._always or training) if self._classifies else []
        if columns:
            accuracies = evaluate(self._progress.strategy, [self._test[column] for column in columns])
            for column, accuracy in zip(columns, accuracies, strict=True):
                row[column] = accuracy
        return row

    def _learning(self, training: list[int], born: Mapping[str, Tensor] | None) -> Learning:
        strategy = self._progress.strategy
        columns = sample([self._test[index] for index in training], INSPECTED)
        with untouched_generators():
            inspection = inspect_strategy(strategy, columns, born)
        values = {**self._progress.meter.online, **inspection.values}
        unread = {name: plain(reason)[:MAX_NAME] for name, reason in inspection.unread.items()} or None
        return Learning.model_validate({name: finite(value) for name, value in values.items()} | {"unread": unread})

    def matrix(self) -> list[list[float | None]]:
        """Return R, of shape (T + 1, T) for T experiences.

        Where a strategy trains only once, the rows between the first and the last are empty.
        """
        rows, experiences = self._progress.accuracy, len(self._test)
        empty: list[list[float | None]] = [[None] * experiences] * (experiences + 1 - len(rows))
        return [*rows[:-1], *empty, rows[-1]]


def _first(dataset: Any) -> tuple[Tensor, Tensor]:
    """Return the first sample's input, of shape (1, ...), and its task label, of shape (1,)."""
    x, _, task_label = dataset[0]
    return torch.as_tensor(x)[None], torch.tensor([task_label])


def _capacity(size: Size, meter: Meter) -> Capacity:
    average = meter.average_parameters
    return Capacity(
        **asdict(size),
        average_parameters=size.parameters if average is None else average,
        training_macs=meter.training_macs,
        steps=meter.steps,
        samples=meter.samples,
    )
