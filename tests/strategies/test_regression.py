"""On a regression a strategy runs, or is refused in words before any training: no method for classes crashes on it."""

from __future__ import annotations

from pathlib import Path

import pytest

from lifelong.boards.board import Board
from lifelong.boards.plan import AtHand, Plan, Wishes, make_plan
from lifelong.errors import UsageError
from lifelong.records.store import Store
from lifelong.registry import strategies
from lifelong.running.launch import Options, make_jobs
from lifelong.training.execute import execute

STREAM = "slowly-changing-regression"
SMALL = {
    STREAM: {"experiences": 3, "samples": 400},
    # penalties that are made for classes are too strong for a loss of this size
    **{name: {"ewc_lambda": 1.0} for name in ("ewc", "online-ewc")},
    "si": {"si_lambda": 0.01},
}
NAMES = sorted(name for name, entry in strategies.all().items() if "pretrained" not in entry.parameters)
REFUSED = {
    "injure-and-translate": "there is no hidden layer",  # in a network of one
    # controls of a strategy that cannot run here
    **dict.fromkeys(("matched-average", "matched-final", "matched-initial", "random-growth"), "class labels"),
}
READ_ACCURACY = {"dropin", "neuroplasticity", "grow-to-skill", "prune-to-skill", "fuzzy-neurogenesis"}


@pytest.fixture(scope="module")
def plan() -> Plan:
    return make_plan(Board(name="r", scenarios=[STREAM], strategies=NAMES, seeds=[0], set=SMALL), Wishes(), AtHand())


@pytest.mark.parametrize("name", NAMES)
def test_it_runs_or_is_refused(name: str, plan: Plan, tmp_path: Path) -> None:
    (cell,) = (cell for cell in plan.cells if cell.strategy.name == name)
    if cell.spec is None:
        assert cell.reason
        return
    (job,) = make_jobs(Plan(plan.board, [cell]), Store(tmp_path, "r"), Options(wandb="off", device="cpu"))
    if name in REFUSED:
        with pytest.raises(UsageError, match=REFUSED[name]):
            execute(job, cell.scenario, cell.strategy)
        return
    record = execute(job, cell.scenario, cell.strategy)
    assert all(entry.online_loss is not None for entry in record.learning)
    assert all(entry.online_accuracy is None for entry in record.learning)


@pytest.mark.parametrize("name", sorted(READ_ACCURACY | {"lwf", "der", "er-ace", "surprise-neurogenesis"}))
def test_what_needs_classes_is_impossible_in_the_plan(name: str, plan: Plan) -> None:
    (cell,) = (cell for cell in plan.cells if cell.strategy.name == name)
    assert cell.state == "impossible"
    assert "class labels" in cell.reason
