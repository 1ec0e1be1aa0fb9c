"""From a specification to a benchmark, a network and an Avalanche strategy; also the way in for one's own script."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch
from avalanche.benchmarks import CLScenario
from avalanche.core import SupervisedPlugin
from avalanche.training.supervised import Naive
from avalanche.training.templates import SupervisedTemplate
from torch import nn

from lifelong.contracts import PROVIDES, Context, Protocol, Scenario, Strategy
from lifelong.data.loading import ResidentLoading
from lifelong.data.resident import images_of
from lifelong.data.validation import validating
from lifelong.errors import UsageError
from lifelong.models.criteria import CRITERIA
from lifelong.models.parts import Parts, outputs_of, parts_of
from lifelong.plasticity.inputs import example_inputs
from lifelong.plasticity.plugin import Plasticity
from lifelong.plasticity.rule import Rule
from lifelong.records.spec import Budget, Spec
from lifelong.registry import scenarios, strategies
from lifelong.seeds import seed_everything
from lifelong.training.dry_run import DryRun
from lifelong.training.limit import Limit
from lifelong.training.meter import meter_of
from lifelong.workarounds.evaluating import drop_idle_evaluator, no_evaluator


@dataclass
class Setup:
    """What a strategy is made of: the network, its optimizer and the budget that all strategies share.

    Attributes:
        model: the network, with its initial weights.
        optimizer: over all parameters of the network.
        budget: epochs, batch sizes and the optimizer's settings.
        device: where the training runs.
        experiences: how many there are in the stream; None where that is not known.
        protocol: what the stream tells a learner; None where that is not known.
        inputs: an example of what the network is called with; empty where there is none.
        criterion: compares outputs with targets.
        dry_run: tells how large another strategy's network becomes on this stream; None outside a board.
        before_training: called once, in this order, just before the first experience.
    """

    model: nn.Module
    optimizer: torch.optim.Optimizer
    budget: Budget = field(default_factory=Budget)
    device: str | torch.device = "cpu"
    experiences: int | None = None
    protocol: Protocol | None = None
    inputs: tuple[Any, ...] = ()
    criterion: nn.Module = field(default_factory=nn.CrossEntropyLoss)
    dry_run: DryRun | None = None
    before_training: list[Callable[[], None]] = field(default_factory=list)
    _checked: list[Plasticity] = field(default_factory=list, init=False, repr=False)

    @property
    def parts(self) -> Parts:
        """The network's feature extractor and classifier.

        Raises:
            UsageError: if it has none, or there is no example of its input.
        """
        return parts_of(self.model, self._example)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one sample.

        Raises:
            UsageError: if there is no example of the network's input.
        """
        return tuple(self._example.shape[1:])

    @property
    def _example(self) -> torch.Tensor:
        if not self.inputs:
            raise UsageError("what the network reads is not known: give load_strategy an example, as inputs=(x,)")
        example: torch.Tensor = self.inputs[0]
        return example

    @property
    def classes(self) -> int | None:
        """How many classes the network tells apart, of one task where each has a head; None where it has no head."""
        classifier = getattr(self.model, "classifier", None)
        return outputs_of(classifier) if isinstance(classifier, nn.Module) else None

    def check_memory(self, mem_size: int, among: Literal["classes", "experiences"]) -> None:
        """See that a memory that is shared equally has a place for each.

        Raises:
            UsageError: if it is smaller than what there is to share it.
        """
        sharing = self.classes if among == "classes" else self.experiences
        if sharing is not None and mem_size < sharing:
            raise UsageError(f"mem_size = {mem_size} is less than one sample for each of the {sharing} {among}")

    def make(
        self, template: type[SupervisedTemplate], *, plugins: Sequence[SupervisedPlugin] = (), **parameters: Any
    ) -> SupervisedTemplate:
        """An Avalanche strategy of this network, optimizer and budget, reading its data by the batch.

        Args:
            template: the Avalanche strategy's class.
            plugins: Avalanche plug-ins to run in it.
            parameters: what the class takes besides.

        Raises:
            UsageError: see `check`.
        """
        self.check(plugins)
        strategy = template(
            model=self.model,
            optimizer=self.optimizer,
            criterion=self.criterion,
            train_mb_size=self.budget.batch_size,
            train_epochs=self.budget.epochs,
            eval_mb_size=self.budget.eval_batch_size,
            device=self.device,
            plugins=list(plugins),
            evaluator=no_evaluator(),
            **parameters,
        )
        drop_idle_evaluator(strategy)
        strategy.plugins.append(ResidentLoading())
        if self.budget.length != "epochs":
            meter_of(strategy)
            strategy.plugins.append(Limit(self.budget))
        return strategy

    def naive(self, *plugins: SupervisedPlugin) -> SupervisedTemplate:
        """Plain fine-tuning with the given Avalanche plug-ins."""
        return self.make(Naive, plugins=plugins)

    def other(self, name: str, parameters: Mapping[str, Any]) -> SupervisedTemplate:
        """Another of the suite's strategies over this network.

        Raises:
            UsageError: if there is none of that name, or it cannot be made so.
        """
        entry = strategies.get(name)
        return _made(entry, self, entry.resolve(parameters))

    def check(self, plugins: Iterable[SupervisedPlugin]) -> None:
        """Look at plug-ins before any training; at each once, for what comes after it may change the network.

        Raises:
            UsageError: if a rule of a `Plasticity` among them cannot work on this network and stream, or is in none.
        """
        for plugin in plugins:
            if isinstance(plugin, Rule):
                raise UsageError("a rule is no plug-in: put it into one, as Plasticity(rule)")
            if isinstance(plugin, Plasticity) and plugin not in self._checked:
                self._check(plugin)
                self._checked.append(plugin)

    def _check(self, plugin: Plasticity) -> None:
        if self.protocol is not None:
            if missing := sorted(plugin.needs - PROVIDES[self.protocol]):
                raise UsageError(
                    f"the rules need {' and '.join(missing)}, which a {self.protocol} stream does not give"
                )
            plugin.boundaries = "task boundaries" in PROVIDES[self.protocol]
        if self.inputs:
            plugin.check(self.model, *self.inputs)


def make_optimizer(model: nn.Module, budget: Budget) -> torch.optim.Optimizer:
    """The budget's optimizer over all parameters of a network; Adam in torch's fused form, three times as fast."""
    parameters = model.parameters()
    if budget.optimizer == "sgd":
        return torch.optim.SGD(parameters, budget.lr, momentum=budget.momentum, weight_decay=budget.weight_decay)
    adam = torch.optim.AdamW if budget.optimizer == "adamw" else torch.optim.Adam
    return adam(parameters, budget.lr, weight_decay=budget.weight_decay, fused=True)


def load_scenario(
    name: str, *, seed: int = 0, data: str | Path | None = None, device: str | torch.device = "cpu", **parameters: Any
) -> CLScenario:
    """One of the suite's scenarios as an Avalanche benchmark with the streams `train_stream` and `test_stream`.

    Args:
        name: as in `lifelong list scenarios`, or `file.py:name`.
        seed: draws the class order and the validation split.
        data: the folder of data sets; by default `LIFELONG_DATA`, else a cache folder.
        device: where the images are held.
        parameters: the scenario's own, as in `lifelong show scenario NAME`.

    Raises:
        UsageError: if there is no such scenario or parameter.
        DataError: if its data cannot be read.
    """
    entry = scenarios.get(name)
    context = Context(seed=seed, data=Path(data) if data is not None else None, device=device)
    benchmark: CLScenario = entry(context, **entry.resolve(parameters))
    return benchmark


def load_strategy(
    name: str,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    *,
    device: str | torch.device = "cpu",
    budget: Budget | None = None,
    inputs: tuple[Any, ...] = (),
    **parameters: Any,
) -> SupervisedTemplate:
    """One of the suite's strategies as an Avalanche strategy over a network of one's own.

    Args:
        name: as in `lifelong list strategies`, or `file.py:name`.
        model: the network.
        optimizer: over its parameters.
        device: where to train.
        budget: how long to train, and batch sizes.
        inputs: an example of what the network is called with, for strategies that build or take apart networks.
        parameters: the strategy's own, as in `lifelong show strategy NAME`.

    Raises:
        UsageError: if there is no such strategy or parameter.
    """
    entry = strategies.get(name)
    setup = Setup(model, optimizer, budget or Budget(), device, inputs=inputs)
    return _made(entry, setup, entry.resolve(parameters))


def _made(entry: Strategy, setup: Setup, parameters: dict[str, Any]) -> SupervisedTemplate:
    if "feature extractor" in entry.needs:
        _ = setup.parts  # refuses a network that has none
    strategy = entry(setup, **parameters)
    if not isinstance(strategy, SupervisedTemplate):
        raise UsageError(f"{entry.name} returned {type(strategy).__name__}, not an Avalanche SupervisedTemplate")
    setup.check(strategy.plugins)  # also those that were added afterwards
    return strategy


@dataclass(frozen=True)
class Prepared:
    """A run that is ready to train."""

    benchmark: CLScenario
    strategy: SupervisedTemplate
    begin: Callable[[], None]
    """To be called once before the first experience; not after a resume."""


def build_benchmark(spec: Spec, scenario: Scenario, data: Path | None, device: str) -> CLScenario:
    """The benchmark of a run.

    Raises:
        UsageError: if its parameters are out of range, or it is not one that can be scored.
        DataError: if its data cannot be read.
    """
    seed_everything(spec.seed, "scenario")
    benchmark: CLScenario = scenario(Context(spec.seed, data, device), **spec.scenario.parameters)
    if spec.validation is not None:
        benchmark = validating(benchmark, spec.validation.experiences)
    images_of(benchmark)  # refuses two sets of images of one name
    tests = [len(experience.dataset) for experience in benchmark.test_stream]
    if len(tests) != len(benchmark.train_stream) or 0 in tests:
        raise UsageError(
            f"{scenario.name} has {len(benchmark.train_stream)} experiences to train on and test sets of "
            f"{tests} samples; each experience needs a test set of its own"
        )
    trainings = [len(experience.dataset) for experience in benchmark.train_stream]
    if spec.budget.batch_size > min(trainings):
        raise UsageError(
            f"budget.batch_size = {spec.budget.batch_size} is more than the {min(trainings)} samples of "
            f"experience {trainings.index(min(trainings)) + 1} of {scenario.name}"
        )
    counted_in = getattr(benchmark, "batch_size", spec.budget.batch_size)
    if counted_in != spec.budget.batch_size:
        raise UsageError(
            f"{scenario.name} counts its drifts in updates of {counted_in} samples, "
            f"but budget.batch_size = {spec.budget.batch_size}; make them equal"
        )
    return benchmark


def prepare(spec: Spec, scenario: Scenario, entry: Strategy, benchmark: CLScenario, device: str) -> Prepared:
    """Build the network and the strategy of a run.

    Runs that share a seed share the class order and the initial weights, whatever their strategy: each use of the
    seed has its own generator.

    Raises:
        UsageError: if the model or the strategy refuses its parameters.
    """
    setup = _setup(spec, scenario, benchmark, device)
    build = partial(_dry, spec, scenario, benchmark, device)
    setup.dry_run = DryRun(build, benchmark.train_stream, scenario.ordered)
    strategy = _made(entry, setup, spec.strategy.parameters)
    return Prepared(benchmark, strategy, partial(_begin, setup, spec.seed))


def _setup(spec: Spec, scenario: Scenario, benchmark: CLScenario, device: str) -> Setup:
    from lifelong.models import build_model

    seed_everything(spec.seed, "initial weights")
    model = build_model(spec.model.name, spec.model.parameters, protocol=scenario.protocol, benchmark=benchmark)
    model.to(device)
    seed_everything(spec.seed, "training")
    stream = benchmark.train_stream
    return Setup(
        model,
        make_optimizer(model, spec.budget),
        spec.budget,
        torch.device(device),
        len(stream),
        scenario.protocol,
        example_inputs(model, stream[0].dataset, device),
        CRITERIA[scenario.criterion](),
    )


def _dry(
    spec: Spec, scenario: Scenario, benchmark: CLScenario, device: str, name: str, parameters: Mapping[str, Any]
) -> SupervisedTemplate:
    """Another strategy on a run's stream, exactly as it would be with that seed on the board."""
    return _setup(spec, scenario, benchmark, device).other(name, parameters)


def _begin(setup: Setup, seed: int) -> None:
    for act in setup.before_training:
        seed_everything(seed, "initial weights")
        act()
    if setup.before_training:
        seed_everything(seed, "training")
