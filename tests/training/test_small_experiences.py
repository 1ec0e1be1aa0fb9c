"""An experience smaller than a batch is trained in the batches that it has; a batch of one is told where it fails."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lifelong.boards.board import Board
from lifelong.boards.plan import AtHand, Plan, Wishes, make_plan
from lifelong.errors import UsageError
from lifelong.records.store import Store
from lifelong.registry import strategies
from lifelong.running.launch import Options, make_jobs
from lifelong.training.execute import execute
from lifelong.training.prepare import build_benchmark, prepare

SCENARIO = '''
import torch
from lifelong import Context, scenario
from lifelong.data.resident import Images
from lifelong.data.streams import benchmark_of

def part(name, classes, samples, seed):
    y = torch.tensor(classes)[torch.arange(samples) % len(classes)]
    x = torch.randn(samples, 1, 8, 8, generator=torch.Generator().manual_seed(seed)) + y[:, None, None, None]
    return Images(x, y, name=name), list(range(samples))

MODEL, BUDGET = {"name": "mlp", "widths": [16]}, {"epochs": 1, "lr": 0.05}

@scenario(protocol="class", input_shape=(1, 8, 8), model=MODEL, budget=BUDGET)
def small(context: Context, sizes: list[int] = [40, 5, 33]):
    """Experiences of a few samples, each of two classes."""
    streams = {
        name: [part(f"{name} {k}", [2 * k, 2 * k + 1], size, 10 * k + len(name)) for k, size in enumerate(sizes)]
        for name in ("train", "test")
    }
    return benchmark_of(streams, "")
'''
NAMES = sorted(name for name, entry in strategies.all().items() if "pretrained" not in entry.parameters)


@pytest.fixture(scope="module")
def scenario(tmp_path_factory: pytest.TempPathFactory) -> str:
    file = tmp_path_factory.mktemp("small") / "mine.py"
    file.write_text(SCENARIO)
    return f"{file}:small"


@pytest.fixture(scope="module")
def plan(scenario: str) -> Plan:
    return make_plan(Board(name="b", scenarios=[scenario], strategies=NAMES, seeds=[0]), Wishes(), AtHand())


@pytest.mark.parametrize("name", NAMES)
def test_every_strategy_trains_on_an_experience_smaller_than_a_batch(name: str, plan: Plan, tmp_path: Path) -> None:
    (cell,) = (cell for cell in plan.cells if cell.strategy.name == name)
    if cell.spec is None:
        assert "task labels" in cell.reason
        return
    assert cell.spec.budget.batch_size > 5
    (job,) = make_jobs(Plan(plan.board, [cell]), Store(tmp_path, "b"), Options(wandb="off", device="cpu"))
    if name == "injure-and-translate":
        with pytest.raises(UsageError, match="there is no hidden layer"):
            execute(job, cell.scenario, cell.strategy)
        return
    record = execute(job, cell.scenario, cell.strategy)
    assert record.accuracy is not None


@pytest.fixture
def build(scenario: str) -> Callable[..., None]:
    """Builds naive on the stream, as a run does before it trains."""

    def built(batch_size: int, sizes: list[int], model: str = "slim-resnet18") -> None:
        board = Board.model_validate(
            {
                "name": "b",
                "scenarios": [scenario],
                "strategies": ["naive"],
                "seeds": [0],
                "budget": {"batch_size": batch_size},
                "model": {"name": model} | ({"width": 2} if model == "slim-resnet18" else {}),
                "set": {"small": {"sizes": sizes}},
            }
        )
        cell = make_plan(board, Wishes(strategies=["naive"]), AtHand()).cells[-1]
        assert cell.spec is not None
        benchmark = build_benchmark(cell.spec, cell.scenario, None, "cpu")
        prepare(cell.spec, cell.scenario, cell.strategy, benchmark, "cpu")

    return built


def test_a_sample_alone_in_its_batch_is_told_where_the_network_normalises(build: Callable[..., None]) -> None:
    told = r"small: in batches of 8 one of the 17 samples of experience 2 is alone .*: set budget\.batch_size = 9"
    with pytest.raises(UsageError, match=told):
        build(8, [16, 17])
    with pytest.raises(UsageError, match=r"set budget\.batch_size = 2"):
        build(1, [16, 18])
    build(9, [16, 17])
    build(8, [16, 17], model="mlp")


def test_an_experience_of_one_sample_needs_another_network(build: Callable[..., None]) -> None:
    with pytest.raises(UsageError, match="choose another network"):
        build(8, [16, 1])
