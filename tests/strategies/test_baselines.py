"""Every baseline runs as the suite runs it, does what it is known for, and depends on nothing but its seed."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lifelong.boards.board import Board, load_board
from lifelong.boards.plan import Wishes, make_plan
from lifelong.records.record import Record
from lifelong.records.store import Store
from lifelong.registry import scenarios, strategies
from lifelong.training.execute import execute
from lifelong.training.job import Job

PROTOCOLS = ("toy", "toy-domain", "toy-task")
BASELINES = ("naive", "joint", "cumulative", "replay", "agem", "gdumb", "er-ace", "der", "ewc", "si", "lwf", "mas")
GENTLE = {"ewc": {"ewc_lambda": 1.0}, "si": {"si_lambda": 0.01}}
"""The defaults were chosen for Adam; with the toy's large steps of SGD, such stiff penalties diverge."""

Run = Any
"""`(strategy, scenario, seed, epochs) -> Record`."""
Matrix = np.ndarray[Any, np.dtype[np.float64]]


def possible(names: tuple[str, ...], where: tuple[str, ...]) -> list[Any]:
    return [
        pytest.param(name, scenario, id=f"{name}-{scenario}")
        for scenario in where
        for name in names
        if strategies.get(name).refusal(scenarios.get(scenario)) is None
    ]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Carry out one run, in this process; the same run is carried out once, unless `.__wrapped__` is called."""
    out = tmp_path_factory.mktemp("out")

    @cache
    def carry_out(name: str, scenario: str, seed: int, epochs: int) -> Record:
        return execute(job_of(out, name, scenario, seed, epochs), scenarios.get(scenario), strategies.get(name))

    return carry_out


def job_of(out: Path, name: str, scenario: str, seed: int, epochs: int) -> Job:
    strengths = {} if scenario.startswith("digits") else GENTLE
    board = Board(
        name="test", scenarios=[scenario], strategies=[name], seeds=[seed], budget={"epochs": epochs}, set=strengths
    )
    store = Store(out, board.name)
    cells = [cell for cell in make_plan(board, Wishes(), store).cells if cell.strategy.name == name]
    assert len(cells) == 1
    assert cells[0].spec is not None, cells[0].reason
    return Job(cells[0].spec, board.name, *cells[0].references[:2], out)


def matrix(record: Record) -> Matrix:
    """R, of shape (T + 1, T), row 0 the untrained network."""
    return np.array(record.accuracy, dtype=float)


def final(record: Record) -> float:
    return float(matrix(record)[-1].mean())


def forgotten(record: Record) -> float:
    """What was right just after an experience and is wrong at the end, mean over all but the last experience."""
    R = matrix(record)[1:]
    return float((np.diag(R) - R[-1])[:-1].mean())


def test_the_board_has_every_baseline() -> None:
    assert set(BASELINES) <= set(load_board("digits-v1").strategies)


@pytest.mark.parametrize(("name", "scenario"), possible(BASELINES, PROTOCOLS))
def test_every_baseline_learns_the_toy(run: Run, name: str, scenario: str) -> None:
    record = run(name, scenario, 0, 5)
    assert record.status == "ok"
    R = matrix(record)
    assert R.shape == (4, 3)
    assert len(record.capacity) == len(record.times.eval_s) == (2 if strategies.get(name).offline else 4)
    assert final(record) > R[0].mean() + 0.05
    assert R[-1].max() > 0.7
    assert np.isnan(R[1:-1]).all() == strategies.get(name).offline


@pytest.mark.parametrize(("name", "scenario"), possible(BASELINES, PROTOCOLS))
def test_a_seed_gives_the_same_matrix_twice(run: Run, name: str, scenario: str) -> None:
    first, second = run(name, scenario, 0, 5), run.__wrapped__(name, scenario, 0, 5)
    assert first is not second
    assert first.accuracy == second.accuracy
    assert first.capacity == second.capacity


@pytest.mark.parametrize("scenario", PROTOCOLS)
def test_strategies_of_a_seed_start_alike_and_seeds_differ(run: Run, scenario: str) -> None:
    """Row 0 needs both the initial weights and the class order."""
    able = [name for name in BASELINES if strategies.get(name).refusal(scenarios.get(scenario)) is None]
    assert len({tuple(run(name, scenario, 0, 5).accuracy[0]) for name in able}) == 1
    assert len({tuple(run("naive", scenario, seed, 5).accuracy[0]) for seed in range(4)}) > 1


def test_strategies_of_a_seed_see_the_same_first_batches(run: Run) -> None:
    """With nothing to remember yet, these are plain fine-tuning on the first experience."""
    first = {name: tuple(run(name, "toy", 0, 5).accuracy[1]) for name in ("naive", "ewc", "si", "lwf", "mas", "replay")}
    assert len(set(first.values())) == 1, first


# On scikit-learn's digits, five experiences of two classes, with the budget of the shipped board.


def digits(run: Run, name: str, scenario: str) -> Record:
    return run(name, scenario, 0, 10)


def test_naive_forgets_and_joint_does_not(run: Run) -> None:
    naive = digits(run, "naive", "digits-class")
    assert matrix(naive)[-1, -1] > 0.9
    assert forgotten(naive) > 0.9
    assert final(naive) < 0.25
    assert final(digits(run, "joint", "digits-class")) > 0.9
    assert final(digits(run, "cumulative", "digits-class")) > 0.9


@pytest.mark.parametrize("name", ["replay", "gdumb", "er-ace", "der", "agem"])
def test_memories_keep_what_naive_forgets(run: Run, name: str) -> None:
    """Where classes have to be told apart that were never seen together."""
    ours, naive = digits(run, name, "digits-class"), digits(run, "naive", "digits-class")
    assert forgotten(ours) < 0.5 * forgotten(naive)
    assert final(naive) + 0.3 < final(ours) <= final(digits(run, "cumulative", "digits-class")) + 0.02


@pytest.mark.parametrize("name", ["ewc", "si", "lwf", "mas"])
def test_constraints_keep_what_naive_forgets(run: Run, name: str) -> None:
    """Where task labels are given; without them, constraints alone are known to help little."""
    ours, naive = digits(run, name, "digits-task"), digits(run, "naive", "digits-task")
    assert forgotten(ours) < 0.5 * forgotten(naive)
    assert final(naive) < final(ours)
