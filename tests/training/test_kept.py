"""A kept network comes back as it was: of its size, with its weights, answering as it did."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import lifelong
from lifelong.boards.board import Board
from lifelong.boards.plan import Plan, Wishes, make_plan
from lifelong.errors import UsageError
from lifelong.records.record import Record
from lifelong.records.store import Store
from lifelong.running.launch import Options, make_jobs
from lifelong.training.execute import execute
from lifelong.training.kept import SUFFIX


def ran(folder: Path, scenario: str, strategy: str, *, keep: bool = True) -> tuple[Record, Path]:
    board = Board(name="b", scenarios=[scenario], strategies=[strategy], seeds=[0], budget={"epochs": 3})
    store = Store(folder, "b")
    cells = [cell for cell in make_plan(board, Wishes(), store).cells if cell.strategy.name == strategy]
    (job,) = make_jobs(Plan(board, cells), store, Options(wandb="off", device="cpu", keep_networks=keep))
    record = execute(job, cells[0].scenario, cells[0].strategy)
    return record, store.write(record)


@pytest.mark.parametrize("scenario", ["toy", "toy-task"])
@pytest.mark.parametrize("strategy", ["naive", "dropin", "prune-to-skill", "drop-and-grow"])
def test_a_network_answers_as_it_did_at_the_end_of_its_run(tmp_path: Path, scenario: str, strategy: str) -> None:
    record, path = ran(tmp_path, scenario, strategy)
    network = lifelong.load_network(path)
    assert sum(weight.numel() for weight in network.parameters()) == record.capacity[-1].parameters
    assert record.accuracy is not None
    for experience, expected in zip(
        lifelong.load_scenario(scenario, seed=0).test_stream, record.accuracy[-1], strict=True
    ):
        x, y, tasks = (torch.stack([torch.as_tensor(sample[k]) for sample in experience.dataset]) for k in range(3))
        answers = network(x, tasks) if scenario == "toy-task" else network(x)
        assert float((answers.argmax(1) == y).float().mean()) == pytest.approx(expected)


def test_what_is_not_there_or_no_network_is_told(tmp_path: Path) -> None:
    _, path = ran(tmp_path, "toy", "naive", keep=False)
    with pytest.raises(UsageError, match=r"no network was kept in .*: run with --keep networks"):
        lifelong.load_network(path)
    path.with_suffix(SUFFIX).write_bytes(b"nothing")
    with pytest.raises(UsageError, match="holds no kept network"):
        lifelong.load_network(path)
    with pytest.raises(UsageError, match=r"gone.json: .*[Nn]o such file"):
        lifelong.load_network(tmp_path / "gone.json")
