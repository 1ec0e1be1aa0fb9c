"""No pass that is no training moves what a network keeps besides its weights, such as the statistics of its batches."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from avalanche.core import SupervisedPlugin
from torch import Tensor

from lifelong.boards.board import Board
from lifelong.boards.plan import AtHand, Plan, Wishes, make_plan
from lifelong.errors import UsageError
from lifelong.registry import strategies
from lifelong.training.prepare import build_benchmark, prepare

NAMES = sorted(name for name, entry in strategies.all().items() if "pretrained" not in entry.parameters)
TRAINS_AFTERWARDS = {"sleep-consolidation"}
"""The strategies that go on training when Avalanche's loop over an experience has ended."""


class Watch(SupervisedPlugin):
    """Keeps the buffers as they are after each training step."""

    def __init__(self) -> None:
        super().__init__()
        self.last: dict[str, Tensor] = {}

    def after_training_iteration(self, strategy: Any, **_: Any) -> None:
        self.last = buffers_of(strategy.model)


def buffers_of(network: torch.nn.Module) -> dict[str, Tensor]:
    return {name: buffer.clone() for name, buffer in network.named_buffers() if "running" in name or "batches" in name}


@pytest.fixture(scope="module")
def plan() -> Plan:
    board = Board(
        name="b",
        scenarios=["toy", "toy-task"],
        strategies=NAMES,
        seeds=[0],
        model={"name": "mlp", "widths": [16], "normalization": "batch"},
        budget={"epochs": 2},
    )
    return make_plan(board, Wishes(), AtHand())


@pytest.mark.parametrize("name", NAMES)
def test_after_the_last_step_of_an_experience_statistics_stay(name: str, plan: Plan) -> None:
    cell = next(cell for cell in plan.cells if cell.strategy.name == name and cell.spec is not None)
    assert cell.spec is not None
    benchmark = build_benchmark(cell.spec, cell.scenario, None, "cpu")
    try:
        prepared = prepare(cell.spec, cell.scenario, cell.strategy, benchmark, "cpu")
    except UsageError:
        return  # a network like this one is refused
    trained, watch = prepared.strategy, Watch()
    trained.plugins.append(watch)
    prepared.begin()
    stream = benchmark.train_stream
    for experiences in [stream] if cell.strategy.offline else [stream[0], stream[1]]:
        trained.train(experiences)
        after = buffers_of(trained.model)
        shared = [key for key in after if key in watch.last and watch.last[key].shape == after[key].shape]
        moved = [key for key in shared if not torch.equal(after[key], watch.last[key])]
        assert bool(moved) == (name in TRAINS_AFTERWARDS), moved
        trained.eval(benchmark.test_stream)
        assert all(torch.equal(value, after[key]) for key, value in buffers_of(trained.model).items())
