"""The way from a specification, or from a name, to a benchmark and an Avalanche strategy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from avalanche.benchmarks import CLScenario
from avalanche.training.templates import SupervisedTemplate
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from lifelong.contracts import Context, Scenario, Strategy
from lifelong.data.resident import images_of
from lifelong.data.soundness import Expected, check_data
from lifelong.data.task_labels import with_some_task_label
from lifelong.data.validation import validating
from lifelong.errors import LifelongError, UsageError, frame_of
from lifelong.models import Model, models
from lifelong.models.building import build_network
from lifelong.models.criteria import make_criterion
from lifelong.plasticity.inputs import example_inputs
from lifelong.records.spec import Budget, Spec
from lifelong.registry import scenarios, strategies
from lifelong.seeds import seed_everything, untouched_generators
from lifelong.training.dry_run import DryRun
from lifelong.training.setup import Setup, make_optimizer


def load_scenario(
    name: str, *, seed: int = 0, data: str | Path | None = None, device: str | torch.device = "cpu", **parameters: Any
) -> CLScenario:
    """Return one of the suite's scenarios as an Avalanche benchmark.

    >>> benchmark = load_scenario("digits-class", seed=0)
    >>> len(benchmark.train_stream), len(benchmark.test_stream)
    (5, 5)

    Args:
        name: a name of `lifelong list scenarios`, or `file.py:name`.
        seed: the seed from which the class order and the validation split are drawn.
        data: the folder of data sets; by default `LIFELONG_DATA`, else a cache folder.
        device: the device that holds the images.
        parameters: the scenario's own parameters, as `lifelong show scenario NAME` lists them.

    Returns:
        A benchmark with the streams `train_stream` and `test_stream`.

    Raises:
        UsageError: if there is no such scenario or parameter.
        DataError: if the data cannot be read.
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
    """Return one of the suite's strategies as an Avalanche strategy over a network of one's own.

    >>> network = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    >>> strategy = load_strategy("naive", network, torch.optim.SGD(network.parameters(), lr=0.1))
    >>> strategy.model is network
    True

    Args:
        name: a name of `lifelong list strategies`, or `file.py:name`.
        model: the network.
        optimizer: the optimizer, which holds the network's parameters.
        device: the device that the network is trained on.
        budget: the length of the training and the batch sizes.
        inputs: an example of the arguments that the network is called with, for strategies that build networks or take
            them apart.
        parameters: the strategy's own parameters, as `lifelong show strategy NAME` lists them.

    Raises:
        UsageError: if there is no such strategy or parameter, or the strategy refuses this network.
    """
    entry = strategies.get(name)
    setup = Setup(model, optimizer, budget or Budget(), device, inputs=inputs)
    return setup.build(entry, entry.resolve(parameters))


@dataclass(frozen=True)
class Prepared:
    """A run that is ready to train."""

    benchmark: CLScenario
    strategy: SupervisedTemplate
    begin: Callable[[], None]
    """A function to be called once before the first experience, and not after a resume."""


def build_benchmark(spec: Spec, scenario: Scenario, data: Path | None, device: str) -> CLScenario:
    """Build the benchmark of a run, and check that a run can train on it and score it.

    Args:
        spec: the run's specification.
        scenario: the scenario that the specification names.
        data: the folder of data sets; None for the default one.
        device: the device that holds the data.

    Raises:
        UsageError: if a parameter is out of range, if an experience has no test set, or if the batch size does not
            suit the stream.
        DataError: if the data cannot be read.
    """
    seed_everything(spec.seed, "scenario")
    benchmark = with_some_task_label(_called(scenario, Context(spec.seed, data, device), spec.scenario.parameters))
    if spec.validation is not None:
        benchmark = validating(benchmark, spec.validation.experiences)
    _check_streams(benchmark, scenario.name)
    _check_batch_size(benchmark, scenario.name, spec.budget.batch_size)
    return benchmark


def _called(scenario: Scenario, context: Context, parameters: Mapping[str, Any]) -> CLScenario:
    """Call a scenario's function; what it raises is told as a mistake in it, with the place."""
    try:
        benchmark = scenario(context, **parameters)
    except (LifelongError, MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:
        frame = frame_of(error, scenario.function.__code__.co_filename)
        told = f"{type(error).__name__}: {error} ({Path(frame.filename).name}:{frame.lineno})"
        raise UsageError(f"{scenario.name} cannot be built: {told}") from error
    if not isinstance(benchmark, CLScenario):
        raise UsageError(f"{scenario.name} returns {type(benchmark).__name__}, not an Avalanche benchmark")
    if missing := sorted({"train", "test"} - benchmark.streams.keys()):
        raise UsageError(f"{scenario.name} has no {' and no '.join(missing)} stream")
    return benchmark


def check_benchmark(benchmark: CLScenario, scenario: Scenario) -> None:
    """Check the data of a benchmark (see `check_data`), which need not be done for each run.

    Raises:
        UsageError: if a network could not be trained on them.
    """
    expected = Expected(
        scenario.name, scenario.input_shape, scenario.criterion == "cross-entropy", scenario.protocol == "task"
    )
    check_data(benchmark, expected)


def _check_streams(benchmark: CLScenario, name: str) -> None:
    images_of(benchmark)  # refuses two sets of images of one name
    tests = [len(experience.dataset) for experience in benchmark.test_stream]
    if len(tests) != len(benchmark.train_stream) or 0 in tests:
        raise UsageError(
            f"{name} has {len(benchmark.train_stream)} experiences to train on and test sets of "
            f"{tests} samples; each experience needs a test set of its own"
        )


def _check_batch_size(benchmark: CLScenario, name: str, batch_size: int) -> None:
    drifts_counted_in = getattr(benchmark, "batch_size", batch_size)
    if drifts_counted_in != batch_size:
        raise UsageError(
            f"{name} counts its drifts in updates of {drifts_counted_in} samples, "
            f"but budget.batch_size = {batch_size}; make them equal"
        )


def prepare(
    spec: Spec,
    scenario: Scenario,
    entry: Strategy,
    benchmark: CLScenario,
    device: str,
    model: Model | None = None,
) -> Prepared:
    """Build the network and the strategy of a run.

    Runs that share a seed share the class order and the initial weights, whatever their strategy: each use of the
    seed has its own generator.

    Args:
        spec: the run's specification.
        scenario: the scenario that the specification names.
        entry: the strategy that the specification names.
        benchmark: the run's benchmark (see `build_benchmark`).
        device: the device that the network is trained on.
        model: the model that the specification names; None looks for it among those that are installed.

    Raises:
        UsageError: if the model or the strategy refuses its parameters.
    """
    model = model or models.get(spec.model.name)
    setup = _setup(spec, scenario, model, benchmark, device)
    _check_last_batches(setup, benchmark, scenario.name)
    build = partial(_build_other, spec, scenario, model, benchmark, device)
    setup.dry_run = DryRun(build, benchmark.train_stream, scenario.ordered)
    strategy = setup.build(entry, spec.strategy.parameters)
    return Prepared(benchmark, strategy, partial(_begin, setup, spec.seed))


def _check_last_batches(setup: Setup, benchmark: CLScenario, name: str) -> None:
    """Refuse batches of one sample where the network cannot be trained on one, because it normalises over the batch."""
    batch_size = setup.budget.batch_size
    samples = [len(experience.dataset) for experience in benchmark.train_stream]
    alone = [number for number, count in enumerate(samples, start=1) if _leaves_one(count, batch_size)]
    if not alone or not any(isinstance(module, _BatchNorm) for module in setup.model.modules()):
        return
    if not _trains_on_one(setup):
        sizes = range(batch_size + 1, max(samples) + 1)
        better = next((size for size in sizes if not any(_leaves_one(count, size) for count in samples)), None)
        mend = f"set budget.batch_size = {better}" if better else "choose another network"
        raise UsageError(
            f"{name}: in batches of {batch_size} one of the {samples[alone[0] - 1]} samples of experience {alone[0]} "
            f"is alone in its batch, and the network normalises over the batch: {mend}"
        )


def _leaves_one(samples: int, batch_size: int) -> bool:
    return samples == 1 or batch_size == 1 or samples % batch_size == 1


def _trains_on_one(setup: Setup) -> bool:
    network = deepcopy(setup.model).train()
    with torch.no_grad(), untouched_generators():
        try:
            network(*(given[:1] if isinstance(given, torch.Tensor) else given for given in setup.inputs))
        except ValueError:  # torch: expected more than 1 value per channel when training
            return False
    return True


def _setup(spec: Spec, scenario: Scenario, model: Model, benchmark: CLScenario, device: str) -> Setup:
    seed_everything(spec.seed, "initial weights")
    network = build_network(model, spec.model.parameters, protocol=scenario.protocol, benchmark=benchmark)
    network.to(device)
    seed_everything(spec.seed, "training")
    stream = benchmark.train_stream
    return Setup(
        network,
        make_optimizer(network, spec.budget),
        spec.budget,
        torch.device(device),
        len(stream),
        scenario.protocol,
        example_inputs(network, stream[0].dataset, device),
        make_criterion(scenario.criterion, spec.budget.label_smoothing),
    )


def _build_other(
    spec: Spec,
    scenario: Scenario,
    model: Model,
    benchmark: CLScenario,
    device: str,
    name: str,
    parameters: Mapping[str, Any],
) -> SupervisedTemplate:
    """Build another strategy on a run's stream, exactly as it would be with the run's seed on the board."""
    return _setup(spec, scenario, model, benchmark, device).other(name, parameters)


def _begin(setup: Setup, seed: int) -> None:
    # each function draws as if it were the only one; the training afterwards starts from its own seed again
    for act in setup.before_training:
        seed_everything(seed, "initial weights")
        act()
    if setup.before_training:
        seed_everything(seed, "training")
