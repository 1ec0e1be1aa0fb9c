"""What rules cost: those that never fire, those that record activations, and a change in the middle of training."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from statistics import median
from typing import Any

import pytest
import torch
from avalanche.core import SupervisedPlugin
from torch import nn

from lifelong import Setup
from lifelong.plasticity import Every, Grow, Lowest, Plasticity, Random, Remove, Reset, Rule, TaskArrives
from lifelong.plasticity.operators import PruneSynapses, Split
from lifelong.plasticity.scores import Contribution, MeanActivation, SynapseRandom
from lifelong.plasticity.selection import Below, Rate
from lifelong.plasticity.triggers import Surprised
from lifelong.records.spec import Budget
from lifelong.structure import count

WIDTH, BATCH, STEPS, CHANGE = 500, 128, 80, 40


class Clock(SupervisedPlugin):
    """The seconds of each step, with all that plug-ins do in it."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[float] = []

    def before_training_iteration(self, *_: Any, **__: Any) -> None:
        self._started = time.perf_counter()

    def after_training_iteration(self, *_: Any, **__: Any) -> None:
        self.seconds.append(time.perf_counter() - self._started)


@pytest.fixture
def experience(resident: Any) -> Any:
    """80 batches of MNIST's shape."""
    return resident(5 * STEPS * BATCH, 100).train_stream[0]


def trained(experience: Any, *rules: Rule, optimizer: Any = torch.optim.SGD) -> tuple[nn.Module, list[float]]:
    """An MLP of three layers of 500, after one pass; and the seconds of each step."""
    torch.manual_seed(0)
    widths = [784, WIDTH, WIDTH, WIDTH]
    hidden = [part for one, two in pairwise(widths) for part in (nn.Linear(one, two), nn.ReLU())]
    network = nn.Sequential(nn.Flatten(), *hidden, nn.Linear(WIDTH, 10))
    setup = Setup(network, optimizer(network.parameters(), lr=0.01), Budget(epochs=1, batch_size=BATCH))
    clock = Clock()
    strategy = setup.naive(*([Plasticity(*rules)] if rules else []), clock)
    strategy.train(experience)
    return network, clock.seconds


def passed(experience: Any, *rules: Rule) -> dict[str, float]:
    """The median seconds of a step."""
    return {"step": median(trained(experience, *rules)[1])}


def once() -> Any:
    """In the middle of training."""
    return Every(steps=CHANGE).at_most(1)


def test_rules_that_never_fire(experience: Any, interleaved: Callable[..., Any], ratio: Any, show: Any) -> None:
    never = Every(steps=10**9)
    rules: dict[str, tuple[list[Rule], str]] = {
        "none": ([], ""),
        "task arrives": ([Rule(TaskArrives(), Grow(0.1))], "+3.0 %"),
        "surprised, which reads each loss": ([Rule(Surprised(threshold=1e9), Grow(0.1))], "+3.0 %"),
        "mean activation of all layers": ([Rule(never, Reset(), Below(MeanActivation(), 0.1))], "+10.0 %"),
        "contribution of all layers": ([Rule(never, Reset(), Below(Contribution(), 0.1))], ""),
        "continual backprop, 1e-4": ([Rule(Every(steps=1), Reset(), Rate(Contribution(), 1e-4, mature=10))], ""),
    }
    rounds = interleaved({name: partial(passed, experience, *each) for name, (each, _) in rules.items()}, 9)
    rows = []
    for name, (_, goal) in rules.items():
        milliseconds = 1000 * median(times[name]["step"] for times in rounds)
        rows.append([name, milliseconds, f"{ratio(rounds, 'step', name, 'none') - 1:+.1%}", goal])
    show("A training step of a 3 x 500 MLP, batch 128, with rules", ["", "ms", "more than none", "goal"], rows)


def changed(experience: Any, rule: Rule, optimizer: Any) -> dict[str, float]:
    """What a change cost, in steps: what that step and the next took beyond the median of those before."""
    _, seconds = trained(experience, rule, optimizer=optimizer)
    usual = median(seconds[CHANGE // 2 : CHANGE - 1])
    return {"steps": sum(seconds[CHANGE - 1 : CHANGE + 1]) / usual - 2}


@pytest.mark.parametrize("optimizer", [torch.optim.SGD, torch.optim.Adam])
def test_a_change_of_a_tenth(experience: Any, interleaved: Callable[..., Any], show: Any, optimizer: Any) -> None:
    tenth, synapses = Lowest(Random(), share=0.1), Lowest(SynapseRandom(), share=0.1)
    rules = {
        "grow": Rule(once(), Grow(0.1)),
        "remove": Rule(once(), Remove(), tenth),
        "reset": Rule(once(), Reset(), tenth),
        "split": Rule(once(), Split(), tenth),
        "prune synapses": Rule(once(), PruneSynapses(), synapses),
    }
    rounds = interleaved({name: partial(changed, experience, rule, optimizer) for name, rule in rules.items()}, 7)
    show(
        f"A change of a tenth of each layer of a 3 x 500 MLP, {optimizer.__name__}",
        ["", "training steps that it takes", "goal"],
        [[name, median(times[name]["steps"] for times in rounds), "20.00"] for name in rules],
    )


def thinned(experience: Any) -> dict[str, float]:
    """By how much steps are faster after a removal of two thirds than before, over what the multiplications promise."""
    x = torch.zeros(1, 1, 28, 28)
    whole = count(trained(experience)[0], x).macs
    rule = Rule(once(), Remove(), Lowest(Random(), share=2 / 3))
    network, seconds = trained(experience, rule)
    faster = median(seconds[CHANGE // 2 : CHANGE - 1]) / median(seconds[CHANGE + 10 :])
    promised = whole / count(network, x).macs
    return {"faster": faster, "promised": promised, "share": faster / promised}


def test_steps_are_faster_after_a_removal(experience: Any, interleaved: Callable[..., Any], show: Any) -> None:
    rounds = interleaved({"removed": partial(thinned, experience)}, 7)
    found = [median(times["removed"][name] for times in rounds) for name in ("promised", "faster", "share")]
    show(
        "A training step after two thirds of all units of a 3 x 500 MLP were removed",
        ["", "promised speed-up", "speed-up", "of the promise"],
        [["removed", *found]],
    )
