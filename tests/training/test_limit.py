"""Budgets in iterations and in multiply-accumulates, counted by hand."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from avalanche.core import SupervisedPlugin
from pydantic import ValidationError
from torch import nn

from lifelong import Setup, load_scenario
from lifelong.plasticity import Grow, Plasticity, Rule, TaskArrives
from lifelong.records.spec import Budget
from lifelong.registry import strategies

BATCH = 5  # of each of toy's three experiences of 12 samples: batches of 5, 5 and 2
MACS = 16 * 8 + 8 * 6
STEP = 3 * MACS  # of training on one sample


class Steps(SupervisedPlugin):
    """The sizes of the batches of each experience."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[list[int]] = []

    def before_training_exp(self, *_: object, **__: object) -> None:
        self.sizes.append([])

    def after_training_iteration(self, strategy: Any, **_: object) -> None:
        self.sizes[-1].append(len(strategy.mb_y))


def setup_of(budget: Budget) -> Setup:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 6))
    return Setup(model, torch.optim.SGD(model.parameters(), 0.01), budget, experiences=3)


def trained(name: str, budget: Budget, **parameters: Any) -> list[list[int]]:
    entry, steps = strategies.get(name), Steps()
    strategy = entry(setup_of(budget), **entry.resolve(parameters))
    strategy.plugins.append(steps)
    stream = list(load_scenario("toy").train_stream)
    for part in [stream] if entry.offline else stream:
        strategy.train(part)
    return steps.sizes


@pytest.mark.parametrize("iterations", [1, 2, 3, 4, 6, 7])
def test_each_experience_has_as_many_iterations(iterations: int) -> None:
    """Also where they end with an epoch (3, 6), and within one; each experience begins anew with its data."""
    sizes = trained("naive", Budget(iterations=iterations, batch_size=BATCH))
    assert sizes == [([5, 5, 2] * 3)[:iterations]] * 3


@pytest.mark.parametrize(
    ("macs", "sizes"),
    [(1, [5]), (5 * STEP, [5]), (5 * STEP + 1, [5, 5]), (12 * STEP, [5, 5, 2]), (13 * STEP, [5, 5, 2, 5])],
)
def test_each_experience_has_as_many_products(macs: int, sizes: list[int]) -> None:
    """The batch that reaches them is the last."""
    assert trained("naive", Budget(training_macs=macs, batch_size=BATCH)) == [sizes] * 3


def test_growth_leaves_fewer_iterations_of_the_same_products() -> None:
    """Eight more units, and products, in the middle experience, and eight more in the last."""
    steps = Steps()
    grown = setup_of(Budget(training_macs=24 * STEP, batch_size=BATCH)).naive(
        Plasticity(Rule(TaskArrives(), Grow(8))), steps
    )
    for experience in load_scenario("toy").train_stream:
        grown.train(experience)
    assert steps.sizes == [[5, 5, 2, 5, 5, 2], [5, 5, 2], [5, 5]]


def test_joint_training_may_spend_the_budget_of_the_whole_stream() -> None:
    sizes = trained("joint", Budget(iterations=4, batch_size=BATCH))
    assert [len(experience) for experience in sizes] == [12]


def test_a_memory_counts_as_what_it_costs() -> None:
    """Replay's batches are twice as large once there is a memory: half as many for the same products."""
    sizes = trained("replay", Budget(training_macs=60 * STEP, batch_size=BATCH), mem_size=12)
    assert sum(sizes[0]) <= 60 + BATCH
    assert len(sizes[2]) < len(sizes[0])


def test_gdumb_passes_over_its_memory_until_the_budget_is_spent() -> None:
    sizes = trained("gdumb", Budget(iterations=9, batch_size=BATCH), mem_size=6)
    assert [len(experience) for experience in sizes] == [9, 9, 9]


def test_a_budget_reads_as_it_did_before_there_were_others() -> None:
    assert set(Budget().model_dump()) == {
        *("epochs", "batch_size", "eval_batch_size", "optimizer", "lr", "momentum", "weight_decay")
    }
    written = Budget(iterations=7).model_dump()
    assert written["iterations"] == 7
    assert not {"epochs", "training_macs"} & set(written)
    assert Budget.model_validate(written) == Budget(iterations=7)


def test_a_budget_has_one_length() -> None:
    with pytest.raises(ValidationError, match="epochs and iterations are both given"):
        Budget(epochs=2, iterations=7)
    assert [Budget(epochs=4).updates(3), Budget(iterations=7).updates(3), Budget(training_macs=9).updates(3)] == [
        *(12, 7, None)
    ]
