"""Holds a strategy on a scenario, and the short runs of it that checks look at. Each run is carried out once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain
from pathlib import Path

from avalanche.benchmarks import CLScenario

from lifelong.checking.altered import Alteration, altered, other_future, other_tests
from lifelong.checking.trial import Trial
from lifelong.contracts import Scenario, Strategy
from lifelong.data.resident import images_of
from lifelong.models import Model
from lifelong.records.spec import Spec
from lifelong.training import checkpoint
from lifelong.training.checkpoint import Progress
from lifelong.training.meter import meter_of
from lifelong.training.prepare import build_benchmark, prepare

SEED, OTHER_SEED = 0, 1


@dataclass
class Subject:
    """Holds what is checked: one strategy on one scenario.

    Args:
        scenario: the scenario.
        strategy: the strategy.
        model: the network's model.
        spec: the specification of a run of both.
        floor: the floor, and the specification of its run; what a strategy spends is compared with it.
        folder: the folder for checkpoints.
        data: the folder of data sets.
    """

    scenario: Scenario
    strategy: Strategy
    model: Model
    spec: Spec
    floor: tuple[Strategy, Spec]
    folder: Path
    data: Path | None = None

    def new_trial(self, strategy: Strategy, spec: Spec, alteration: Alteration | None = None) -> Trial:
        """Return a run that has not begun.

        Raises:
            UsageError: if the scenario, the model or the strategy refuses its parameters.
        """
        benchmark = self.benchmark(spec, alteration)
        prepared = prepare(spec, self.scenario, strategy, benchmark, "cpu", self.model)
        meter = meter_of(prepared.strategy)
        meter.classifies = self.scenario.criterion == "cross-entropy"
        progress = Progress(prepared.strategy, meter)
        return Trial(progress, benchmark, prepared.begin, self.scenario, strategy.offline)

    def benchmark(self, spec: Spec, alteration: Alteration | None = None) -> CLScenario:
        """Return the scenario's benchmark, altered where an alteration is given."""
        benchmark = build_benchmark(spec, self.scenario, self.data, "cpu")
        if alteration is None:
            return benchmark
        return altered(benchmark, alteration, task_labels=self.scenario.protocol == "task")

    def run(
        self,
        *,
        seed: int = SEED,
        alteration: Alteration | None = None,
        evaluated: bool = True,
        trainings: int | None = None,
        save_to: Path | None = None,
    ) -> Trial:
        """Carry out a run of the strategy.

        Args:
            seed: the seed of the run.
            alteration: what is different in the benchmark.
            evaluated: whether the strategy is evaluated before and after each training.
            trainings: the number of trainings, if not all.
            save_to: the file for a checkpoint after the first training.
        """
        spec = self.spec.model_copy(update={"seed": seed})
        trial = replace(self.new_trial(self.strategy, spec, alteration), evaluated=evaluated)
        trial.begin()
        trial.look()
        for index, training in enumerate(trial.trainings[:trainings]):
            trial.advance(training)
            if index == 0 and save_to is not None:
                checkpoint.save(save_to, trial.progress)
        return trial

    @property
    def checkpoint(self) -> Path:
        """Return the file that the usual run leaves after its first training, if it can be saved."""
        return self.folder / f"{self.scenario.name}.pkl"

    @cached_property
    def usual(self) -> Trial:
        """Return a run like those on a board."""
        return self.run(save_to=self.checkpoint)

    @cached_property
    def repeated(self) -> Trial:
        """Return the usual run, carried out again."""
        return self.run()

    @cached_property
    def unevaluated(self) -> Trial:
        """Return the usual run without an evaluation before the end."""
        return self.run(evaluated=False)

    @cached_property
    def with_other_seed(self) -> Trial:
        """Return a run with another seed, without an evaluation before the end."""
        return self.run(seed=OTHER_SEED, evaluated=False)

    @cached_property
    def with_other_tests(self) -> Trial:
        """Return a run with other data in the test sets."""
        return self.run(alteration=other_tests)

    @cached_property
    def with_other_future(self) -> Trial:
        """Return the first training of a run in which other experiences would follow."""
        return self.run(alteration=other_future, trainings=1)

    def resumed(self) -> Trial | None:
        """Return the usual run, resumed from its checkpoint; None where the checkpoint cannot be read."""
        fresh = self.new_trial(self.strategy, self.spec)
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
        """Return the iterations and samples that the floor takes for the same experiences."""
        trial = replace(self.new_trial(*self.floor), evaluated=False)
        trial.begin()
        for position in chain.from_iterable(self.usual.trainings):
            trial.advance([position])
        meter = trial.progress.meter
        return meter.steps, meter.samples
