"""Carries out the short runs of a strategy on a scenario that checks look at, each once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain
from pathlib import Path

from avalanche.benchmarks import CLScenario

from lifelong.checking.altered import Change, altered, other_future, other_tests
from lifelong.checking.trial import Trial
from lifelong.contracts import Scenario, Strategy
from lifelong.data.resident import images_of
from lifelong.records.spec import Spec
from lifelong.training import checkpoint
from lifelong.training.checkpoint import Progress
from lifelong.training.meter import meter_of
from lifelong.training.prepare import build_benchmark, prepare

SEED, OTHER_SEED = 0, 1


@dataclass
class Subject:
    """Is what checks look at: one strategy on one scenario.

    Args:
        scenario: the scenario.
        strategy: the strategy.
        spec: the specification of a run of both.
        floor: the strategy that others are compared with in what they spend.
        folder: for checkpoints.
        data: the folder of data sets.
    """

    scenario: Scenario
    strategy: Strategy
    spec: Spec
    floor: tuple[Strategy, Spec]
    folder: Path
    data: Path | None = None

    def build(self, strategy: Strategy, spec: Spec, change: Change | None = None) -> Trial:
        """Build a run that has not begun.

        Raises:
            UsageError: if the scenario, the model or the strategy refuses its parameters.
        """
        benchmark = self.benchmark(spec, change)
        prepared = prepare(spec, self.scenario, strategy, benchmark, "cpu")
        meter = meter_of(prepared.strategy)
        meter.classifies = self.scenario.criterion == "cross-entropy"
        progress = Progress(prepared.strategy, meter)
        return Trial(progress, benchmark, prepared.begin, self.scenario, strategy.offline)

    def benchmark(self, spec: Spec, change: Change | None = None) -> CLScenario:
        """Build the scenario's benchmark, altered where a change is given."""
        benchmark = build_benchmark(spec, self.scenario, self.data, "cpu")
        if change is None:
            return benchmark
        return altered(benchmark, change, task_labels=self.scenario.protocol == "task")

    def run(
        self,
        *,
        seed: int = SEED,
        change: Change | None = None,
        evaluated: bool = True,
        trainings: int | None = None,
        save_to: Path | None = None,
    ) -> Trial:
        """Run the strategy.

        Args:
            seed: of the run.
            change: what is different in the benchmark.
            evaluated: whether it is evaluated before and after each training.
            trainings: how many, if not all.
            save_to: where to leave a checkpoint after the first training.
        """
        spec = self.spec.model_copy(update={"seed": seed})
        trial = replace(self.build(self.strategy, spec, change), evaluated=evaluated)
        trial.begin()
        trial.look()
        for index, training in enumerate(trial.trainings[:trainings]):
            trial.advance(training)
            if index == 0 and save_to is not None:
                checkpoint.save(save_to, trial.progress)
        return trial

    @property
    def checkpoint(self) -> Path:
        """The file that the usual run leaves after its first training, if it can be saved."""
        return self.folder / f"{self.scenario.name}.pkl"

    @cached_property
    def usual(self) -> Trial:
        """A run as on a board."""
        return self.run(save_to=self.checkpoint)

    @cached_property
    def repeated(self) -> Trial:
        """The usual run, made a second time."""
        return self.run()

    @cached_property
    def unevaluated(self) -> Trial:
        """The usual run without an evaluation before the end."""
        return self.run(evaluated=False)

    @cached_property
    def otherwise_seeded(self) -> Trial:
        """The run with another seed, without an evaluation before the end."""
        return self.run(seed=OTHER_SEED, evaluated=False)

    @cached_property
    def otherwise_tested(self) -> Trial:
        """The usual run with other data in the test sets."""
        return self.run(change=other_tests)

    @cached_property
    def otherwise_continued(self) -> Trial:
        """The first training of a stream in which other experiences follow."""
        return self.run(change=other_future, trainings=1)

    def resumed(self) -> Trial | None:
        """Run the rest of the usual run from its checkpoint; return None where there is none that can be read."""
        fresh = self.build(self.strategy, self.spec)
        progress = checkpoint.load(self.checkpoint, images_of(fresh.benchmark))
        if progress is None:
            return None
        weights, outputs = self.usual.weights[:2], self.usual.outputs[:2]
        trial = replace(fresh, progress=progress, weights=weights, outputs=outputs)
        for training in trial.trainings[1:]:
            trial.advance(training)
        return trial

    @cached_property
    def floor_spent(self) -> tuple[int, int]:
        """The iterations and samples that the floor takes for the same trainings."""
        trial = replace(self.build(*self.floor), evaluated=False)
        trial.begin()
        for position in chain.from_iterable(self.usual.trainings):
            trial.advance([position])
        meter = trial.progress.meter
        return meter.steps, meter.samples
