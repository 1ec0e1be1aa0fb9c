"""What a second worker gains, what starting a run costs, and what logging to W&B costs."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from statistics import mean, median
from typing import Any

import pytest

from lifelong.boards.board import Board
from lifelong.boards.plan import Wishes, make_plan
from lifelong.records.record import Record
from lifelong.records.store import Store
from lifelong.registry import scenarios, strategies
from lifelong.running.launch import Options, make_jobs
from lifelong.running.scheduler import Finished, run_all
from lifelong.training.execute import execute
from lifelong.training.job import Job

DIGITS = Board(
    name="digits", scenarios=["digits-class"], strategies=["naive", "joint", "replay", "ewc"], seeds=[0, 1, 2]
)
TOY = Board(name="toy", scenarios=["toy"], strategies=["naive", "joint"], seeds=list(range(15)), budget={"epochs": 1})


def jobs_of(board: Board, out: Path) -> list[Job]:
    store = Store(out, board.name)
    return make_jobs(make_plan(board, Wishes(), store), store, Options(device="cpu"))


def carry_out(board: Board, out: Path, workers: int) -> tuple[float, list[Record]]:
    """The seconds that a board takes, and its records; the fork server runs already."""
    jobs = jobs_of(board, out)
    started = time.perf_counter()
    records = [event.record for event in run_all(jobs, workers) if isinstance(event, Finished)]
    seconds = time.perf_counter() - started
    assert len(records) == len(jobs)
    assert all(record.ok for record in records), [record.error for record in records]
    return seconds, records


def start_server(out: Path) -> None:
    """The first run waits for the server to load torch and Avalanche."""
    carry_out(TOY.model_copy(update={"seeds": [0]}), out, 1)


def test_a_second_worker(tmp_path: Path, show: Any) -> None:
    start_server(tmp_path / "first")
    seconds: dict[int, list[float]] = {1: [], 2: []}
    for repeat in range(3):
        for workers, taken in seconds.items():
            taken.append(carry_out(DIGITS, tmp_path / f"{repeat}-{workers}", workers)[0])
    gain = median(one / two for one, two in zip(*seconds.values(), strict=True))
    runs = len(DIGITS.strategies) * len(DIGITS.seeds)
    show(
        f"A digits board of {runs} runs",
        ["workers", "s", "speed-up", "goal"],
        [[1, median(seconds[1]), 1.0, ""], [2, median(seconds[2]), gain, ">= 1.8"]],
    )


def test_starting_a_run(tmp_path: Path, show: Any) -> None:
    """From one run's end to the next one's, less the work that the same runs take in a process that is warm."""
    start_server(tmp_path / "first")
    seconds, records = carry_out(TOY, tmp_path / "board", 1)
    jobs = jobs_of(TOY, tmp_path / "here")
    for _ in ("cold", "warm"):
        started = time.perf_counter()
        for job in jobs:
            execute(job, scenarios.get(job.scenario), strategies.get(job.strategy))
        work = (time.perf_counter() - started) / len(jobs)
    inside = mean(record.times.total_s for record in records)
    show(
        f"{len(jobs)} runs of {1000 * work:.0f} ms each, one after the other",
        ["part of a run", "ms", "goal"],
        [
            ["process, plan, record, and the parent's bookkeeping", 1000 * (seconds / len(jobs) - inside), ""],
            ["what a fresh process does more slowly than a warm one", 1000 * (inside - work), ""],
            ["starting a run, in all", 1000 * (seconds / len(jobs) - work), "< 100"],
        ],
    )


def whole_board(out: Path, wandb: str) -> float:
    command = [sys.executable, "-m", "lifelong.cli", "run", "digits-v1", "--seeds", "0", "--scenario", "digits-class"]
    started = time.perf_counter()
    done = subprocess.run([*command, "--out", str(out), "--wandb", wandb], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return time.perf_counter() - started


@pytest.mark.timeout(300)
def test_wandb(tmp_path: Path, show: Any) -> None:
    seconds: dict[str, list[float]] = {"off": [], "offline": []}
    for repeat in range(3):
        for mode, taken in seconds.items():
            taken.append(whole_board(tmp_path / f"{mode}-{repeat}", mode))
    share = median(1 - off / offline for off, offline in zip(*seconds.values(), strict=True))
    show(
        "`lifelong run` on twelve runs of digits, from the command to the prompt",
        ["W&B", "s", "share of the board's time", "goal"],
        [["off", median(seconds["off"]), "", ""], ["offline", median(seconds["offline"]), f"{share:.1%}", "< 10 %"]],
    )
