"""Clipped gradients, smoothed labels and a renewed optimizer: as torch has them, for every strategy, and in the key."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from avalanche.core import SupervisedPlugin
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_

from lifelong import Budget, load_scenario, load_strategy
from lifelong.boards.board import Board
from lifelong.boards.plan import AtHand, Plan, Wishes, make_plan
from lifelong.errors import UsageError
from lifelong.registry import strategies
from lifelong.training.meter import meter_of
from lifelong.training.prepare import build_benchmark, prepare
from lifelong.training.steps import ClippedGradients

NAMES = sorted(name for name, entry in strategies.all().items() if "pretrained" not in entry.parameters)


class Watch(SupervisedPlugin):
    """Keeps the batches, and the weights after each step."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[tuple[Tensor, Tensor]] = []
        self.weights: list[list[Tensor]] = []

    def after_training_iteration(self, strategy: Any, **_: Any) -> None:
        self.batches.append((strategy.mb_x, strategy.mb_y))
        self.weights.append([weight.detach().clone() for weight in strategy.model.parameters()])


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 6))


def trained(**budget: Any) -> tuple[Watch, torch.optim.Optimizer]:
    made, watch = network(), Watch()
    optimizer = torch.optim.Adam(made.parameters(), 0.01)
    strategy = load_strategy("naive", made, optimizer, budget=Budget(batch_size=4, epochs=2, **budget))
    strategy.plugins.append(watch)
    for experience in load_scenario("toy").train_stream:
        strategy.train(experience)
    return watch, optimizer


def by_hand(watch: Watch, *, norm: float | None = None, renew: int = 0) -> list[Tensor]:
    """The same training as a loop of torch's own, on the same batches."""
    made = network()
    optimizer = torch.optim.Adam(made.parameters(), 0.01)
    for number, (x, y) in enumerate(watch.batches):
        if renew and number % renew == 0:
            optimizer = torch.optim.Adam(made.parameters(), 0.01)
        optimizer.zero_grad()
        nn.functional.cross_entropy(made(x), y).backward()
        if norm is not None:
            clip_grad_norm_(made.parameters(), norm)
        optimizer.step()
    return [weight.detach() for weight in made.parameters()]


def test_gradients_are_clipped_as_torch_clips_them() -> None:
    watch, _ = trained(clip_norm=0.05)
    torch.testing.assert_close(watch.weights[-1], by_hand(watch, norm=0.05))
    assert not torch.allclose(watch.weights[-1][0], by_hand(watch)[0], atol=1e-4)


def test_a_renewed_optimizer_is_a_new_one_for_each_experience() -> None:
    watch, optimizer = trained(renew_optimizer=True)
    each = len(watch.batches) // 3
    torch.testing.assert_close(watch.weights[-1], by_hand(watch, renew=each))
    assert {int(state["step"]) for state in optimizer.state.values()} == {each}
    kept, optimizer = trained()
    torch.testing.assert_close(kept.weights[-1], by_hand(kept))
    assert {int(state["step"]) for state in optimizer.state.values()} == {3 * each}


@pytest.fixture(scope="module")
def plan() -> Plan:
    budget = {"epochs": 2, "clip_norm": 0.1, "label_smoothing": 0.2}
    board = Board(name="b", scenarios=["toy", "toy-task"], strategies=NAMES, seeds=[0], budget=budget)
    return make_plan(board, Wishes(), AtHand())


@pytest.mark.parametrize("name", NAMES)
def test_every_update_of_every_strategy_is_clipped(name: str, plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    cell = next(cell for cell in plan.cells if cell.strategy.name == name and cell.spec is not None)
    assert cell.spec is not None
    benchmark = build_benchmark(cell.spec, cell.scenario, None, "cpu")
    try:
        prepared = prepare(cell.spec, cell.scenario, cell.strategy, benchmark, "cpu")
    except UsageError:
        return  # a network like this one is refused
    clipped: list[ClippedGradients] = []  # controls may train another strategy first, to see how large it becomes
    monkeypatch.setattr(ClippedGradients, "before_update", lambda plugin, *_, **__: clipped.append(plugin))
    criterion = prepared.strategy._criterion
    assert not isinstance(criterion, nn.CrossEntropyLoss) or criterion.label_smoothing == 0.2
    meter = meter_of(prepared.strategy)
    prepared.begin()
    stream = benchmark.train_stream
    prepared.strategy.train(stream if cell.strategy.offline else stream[0])
    (own,) = (plugin for plugin in prepared.strategy.plugins if isinstance(plugin, ClippedGradients))
    assert clipped.count(own) == meter.steps


def test_what_a_budget_does_not_ask_for_is_not_in_its_key() -> None:
    plain, asked = Budget(epochs=2), Budget(epochs=2, clip_norm=1.0, renew_optimizer=True)
    assert not {"clip_norm", "label_smoothing", "renew_optimizer"} & plain.model_dump(mode="json").keys()
    assert asked.model_dump(mode="json") == {**plain.model_dump(mode="json"), "clip_norm": 1.0, "renew_optimizer": True}
    assert Budget.model_validate(asked.model_dump(mode="json")) == asked


@pytest.mark.parametrize(
    ("scenario", "setting", "told"),
    [
        ("toy", "budget.clip_norm=0", "budget.clip_norm = 0"),
        ("toy", "budget.label_smoothing=1", "budget.label_smoothing = 1"),
        ("toy", "budget.clip=1", "did you mean 'clip_norm'"),
        (
            "slowly-changing-regression",
            "budget.label_smoothing=0.1",
            "is for classes, which slowly-changing",
        ),
    ],
)
def test_wrong_values_are_refused_in_the_plan(scenario: str, setting: str, told: str) -> None:
    board = Board(name="b", scenarios=[scenario], strategies=["naive"], seeds=[0])
    with pytest.raises(UsageError, match=told):
        make_plan(board, Wishes(set=[setting]), AtHand())
