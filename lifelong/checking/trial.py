"""Carries out a short run of a strategy, as on a board, and remembers weights and outputs after each experience."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from avalanche.benchmarks import CLExperience, CLScenario
from avalanche.core import SupervisedPlugin
from avalanche.training.templates import SupervisedTemplate
from torch import Tensor

from lifelong.contracts import Scenario
from lifelong.seeds import RandomState
from lifelong.training.checkpoint import Progress
from lifelong.training.evaluation import listen
from lifelong.training.train import train

Weights = dict[str, Tensor]
"""Every tensor of a network's state, by name."""


@dataclass
class Trial:
    """Runs a strategy on the first two experiences of a stream, or once on the whole stream.

    Args:
        progress: the strategy and its meter, as a checkpoint holds them.
        benchmark: the stream.
        begin: is to be called once before the first training, but not after a resume.
        scenario: the scenario.
        offline: whether the strategy is trained once, on all experiences together.
        evaluated: whether it is evaluated before and after each training.
        weights: the weights of the network before any training, and after each.
        outputs: the outputs on each test set at the same times; empty where it is not evaluated.
        accuracy: the accuracy of these outputs, in [0, 1]: rows of R.
        touched: what an evaluation changed in the network; empty where it changed nothing.
        wavering: where a second evaluation, in reversed order, differed from the first; empty where it did not.
        random: the state of each global generator when the last training was over, by the library's name.
    """

    progress: Progress
    benchmark: CLScenario
    begin: Callable[[], None]
    scenario: Scenario
    offline: bool
    evaluated: bool = True
    weights: list[Weights] = field(default_factory=list)
    outputs: list[list[Tensor]] = field(default_factory=list)
    accuracy: list[list[float]] = field(default_factory=list)
    touched: str = ""
    wavering: str = ""
    random: dict[str, object] = field(default_factory=dict)

    @property
    def strategy(self) -> SupervisedTemplate:
        return self.progress.strategy

    @property
    def trainings(self) -> list[list[int]]:
        """Return the positions of the experiences of each training: the first and the second, or all at once."""
        positions = list(range(len(self.benchmark.train_stream)))
        return [positions] if self.offline else [[position] for position in positions[:2]]

    def look(self) -> None:
        """Remember the weights, the state of the generators and, if it is evaluated, the outputs."""
        self.weights.append(weights_of(self.strategy.model))
        state = RandomState.now()
        self.random = {"torch": state.cpu.tolist(), "numpy": state.numpy[1].tolist(), "Python": state.python}
        if self.evaluated:
            self._score()

    def advance(self, training: Sequence[int]) -> None:
        """Train on some experiences together, and remember the result."""
        experiences = [self.benchmark.train_stream[index] for index in training]
        train(self.strategy, experiences, in_order=self.scenario.ordered and not self.offline)
        self.look()

    def _score(self) -> None:
        """Evaluate on all test sets, and again from the last to the first."""
        when = after(len(self.weights) - 1)
        first, second = self.answers(), self.answers(backwards=True)
        if (changed := difference(self.weights[-1], weights_of(self.strategy.model))) and not self.touched:
            self.touched = f"{changed} {when}"
        if (apart := elsewhere(first.outputs, second.outputs)) and not self.wavering:
            self.wavering = f"{apart} {when}"
        self.outputs.append(first.outputs)
        self.accuracy.append(first.accuracy)

    def answers(self, benchmark: CLScenario | None = None, *, backwards: bool = False) -> Answers:
        """Return what the strategy answers now.

        Args:
            benchmark: gives the test sets, if they are not the run's own.
            backwards: whether to evaluate from the last test set to the first.
        """
        listener, tests = _Listener(), list((benchmark or self.benchmark).test_stream)
        listen(listener, self.strategy, tests[::-1] if backwards else tests)
        return listener.answers(tests)

    @property
    def last_outputs(self) -> list[Tensor]:
        """Return the outputs on each test set at the end."""
        return self.outputs[-1] if self.outputs else self.answers().outputs


class Answers(NamedTuple):
    """Holds the outputs on each test set, each of shape (n, outputs), and the accuracy on each, in [0, 1]."""

    outputs: list[Tensor]
    accuracy: list[float]


class _Listener(SupervisedPlugin):
    """Keeps the outputs and the labels of an evaluation, by experience."""

    def __init__(self) -> None:
        super().__init__()
        self._heard: dict[int, list[tuple[Tensor, Tensor]]] = {}

    def after_eval_iteration(self, strategy: Any, **_: object) -> None:
        heard = self._heard.setdefault(strategy.experience.current_experience, [])
        heard.append((strategy.mb_output.detach().clone(), strategy.mb_y.detach().clone()))

    def answers(self, tests: Sequence[CLExperience]) -> Answers:
        answers = Answers([], [])
        for experience in tests:
            outputs, labels = map(torch.cat, zip(*self._heard[experience.current_experience], strict=True))
            answers.outputs.append(outputs)
            answers.accuracy.append(float((outputs.argmax(dim=1) == labels).float().mean()))
        return answers


def after(trainings: int) -> str:
    """Say after how many trainings a run was looked at."""
    return f"after training {trainings}" if trainings else "before any training"


def first_difference(one: Trial, other: Trial) -> str:
    """Return where two runs first differ, in half a sentence; empty where they are equal bit for bit.

    The weights and the outputs are compared at each time at which both runs were looked at. If the runs are equally
    long, their outputs at the end are compared too, even if one of them was not evaluated before.
    """
    for done, (weights, others) in enumerate(zip(one.weights, other.weights, strict=False)):
        if apart := difference(weights, others):
            return f"{apart} {after(done)}"
    times = list(zip(one.outputs, other.outputs, strict=False))
    if len(one.weights) == len(other.weights):
        times.append((one.last_outputs, other.last_outputs))
    return next((f"all weights are equal, but {apart}" for pair in times if (apart := elsewhere(*pair))), "")


def elsewhere(one: Sequence[Tensor], other: Sequence[Tensor]) -> str:
    """Return on which test sets outputs differ, in half a sentence; empty where they are equal bit for bit."""
    numbers = [number for number, pair in enumerate(zip(one, other, strict=True), start=1) if not same(*pair)]
    return f"the outputs on test set {' and '.join(map(str, numbers))} differ" if numbers else ""


def weights_of(network: torch.nn.Module) -> Weights:
    """Return copies of the tensors of a network's state, including buffers."""
    state = network.state_dict().items()
    return {name: value.detach().clone() for name, value in state if isinstance(value, Tensor)}


def difference(one: Weights, other: Weights) -> str:
    """Return where two states of a network differ most, in half a sentence; empty where they are equal bit for bit."""
    differing = [apart for name in {**one, **other} if (apart := _apart(name, one.get(name), other.get(name)))]
    more = f" (and {len(differing) - 1} more of its tensors)" if len(differing) > 1 else ""
    return max(differing)[1] + more if differing else ""


def _apart(name: str, one: Tensor | None, other: Tensor | None) -> tuple[float, str] | None:
    """Return how far two tensors are apart, as a number and in words; None where they are equal."""
    if one is None or other is None:
        return math.inf, f"`{name}` is {'new' if one is None else 'gone'}"
    if one.shape != other.shape:
        return math.inf, f"`{name}` has the shape {tuple(other.shape)} instead of {tuple(one.shape)}"
    if same(one, other):
        return None
    apart = float((one.double() - other.double()).nan_to_num(math.inf).abs().max())
    return apart, f"`{name}` differs by up to {apart:.3g}"


def same(one: Tensor, other: Tensor) -> bool:
    """Tell whether two tensors are equal bit for bit, except that 0 equals -0 and NaN equals NaN.

    >>> same(torch.tensor([1.0, math.nan]), torch.tensor([1.0, math.nan]))
    True
    """
    return one.shape == other.shape and torch.allclose(one, other, rtol=0, atol=0, equal_nan=True)
