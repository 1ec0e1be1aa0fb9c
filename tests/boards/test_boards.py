"""The boards that come along: on generated images, every cell can be made, and a cell of each scenario trains."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from lifelong.boards.board import Board, load_board
from lifelong.boards.plan import Cell, Wishes, make_plan
from lifelong.data import images
from lifelong.data.images import ImageData, Samples
from lifelong.records.store import Store
from lifelong.registry import boards, strategies
from lifelong.training.execute import execute
from lifelong.training.job import Job
from lifelong.training.prepare import build_benchmark, prepare

FORMATS = {"CIFAR10": (3, 32, 10), "CIFAR100": (3, 32, 100)}
ITERATIONS = 2
IMAGES = 700
"""Enough that each experience holds a batch: of 128 samples where it has two of ten classes."""
LONG = {"drift-v1": ("drift-mnist.steps=2500", "drift-mnist.test_samples=20")}
"""Streams whose length is not told by a budget."""


@cache
def noise(name: images.Name, device: str | torch.device) -> ImageData:
    channels, side, classes = FORMATS.get(name, (1, 28, 10))

    def read(train: bool) -> Samples:
        random = np.random.default_rng(train)
        y = torch.arange(classes).repeat(IMAGES // classes if train else 2)
        x = torch.from_numpy(random.integers(0, 256, (len(y), channels, side, side), np.uint8))
        return Samples(x, y)

    return images.normalized(read, device)


@pytest.fixture(autouse=True)
def generated(monkeypatch: pytest.MonkeyPatch) -> None:
    """Images of noise in the place of those that have to be downloaded."""

    monkeypatch.setattr(images, "load", lambda name, context: noise(name, context.device))


def possible(board: Board, folder: Path, *settings: str) -> list[Cell]:
    """A board's cells of its first seed, with a budget of a few updates."""
    length = LONG.get(board.name, (f"budget.iterations={ITERATIONS}",))
    wishes = Wishes(seeds=str(board.seeds[0]), set=(*length, *settings))
    return [cell for cell in make_plan(board, wishes, Store(folder, board.name)).cells if cell.spec is not None]


@pytest.mark.parametrize("name", boards())
def test_a_cell_of_each_scenario_trains(name: str, tmp_path: Path) -> None:
    board = load_board(name)
    two = [f"{scenario}.experiences=2" for scenario in board.scenarios]
    smallest = {cell.scenario.name: cell for cell in possible(board, tmp_path, *two) if cell.strategy.name == "naive"}
    assert list(smallest) == board.scenarios
    for cell in smallest.values():
        assert cell.spec is not None
        record = execute(
            Job(cell.spec, name, cell.scenario.name, cell.strategy.name, tmp_path), cell.scenario, cell.strategy
        )
        assert record.status == "ok"
        assert record.spec.key == cell.spec.key
        assert name in LONG or record.capacity[-1].steps == 2 * ITERATIONS


@pytest.mark.parametrize("name", boards())
def test_every_strategy_can_be_made_with_what_the_board_sets(name: str, tmp_path: Path) -> None:
    made = set()
    benchmarks = {}
    for cell in possible(load_board(name), tmp_path):
        spec, scenario = cell.spec, cell.scenario
        assert spec is not None
        if scenario.name not in benchmarks:
            benchmarks[scenario.name] = build_benchmark(spec, scenario, None, "cpu")
        if (spec.strategy.identity, scenario.protocol) not in made:
            made.add((spec.strategy.identity, scenario.protocol))
            prepare(spec, scenario, cell.strategy, benchmarks[scenario.name], "cpu")


def test_core_has_every_strategy_of_avalanche() -> None:
    theirs = {name for name, entry in strategies.all().items() if entry.avalanche}
    assert theirs - set(load_board("core-v1").strategies) == {"l2p"}


@pytest.mark.parametrize("name", ["core-v1"])
def test_whoever_is_tuned_has_something_to_choose(name: str) -> None:
    space = pytest.importorskip("lifelong.tuning.space")
    board = load_board(name)
    assert board.tuning is not None
    for entry in map(strategies.get, board.strategies):
        found = space.space_of(board, entry, entry.resolve(board.set.get(entry.name, {})))
        assert set(found) == set(board.closed.get(entry.name, {}))


@pytest.mark.parametrize(("name", "side"), [("three-scenarios-v1", 28), ("permuted-mnist-v1", 32)])
def test_the_three_scenarios_show_grey_levels(name: str, side: int, tmp_path: Path) -> None:
    cell = possible(load_board(name), tmp_path)[0]
    assert cell.spec is not None
    dataset = build_benchmark(cell.spec, cell.scenario, None, "cpu").train_stream[0].dataset
    x = torch.stack([dataset[position][0] for position in range(40)])
    assert x.shape == (40, 1, side, side)
    torch.testing.assert_close(255 * x, (255 * x).round(), atol=1e-3, rtol=0)
    assert (x.amin(), round(float(x.amax()), 5)) == (0, 1)
    frame = torch.ones(side, side, dtype=torch.bool)
    frame[2:-2, 2:-2] = False
    assert bool((x[..., frame] == 0).all()) == (side == 32)
