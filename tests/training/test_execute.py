"""A whole run in this process, of scenarios and strategies in which each part of a record has something to tell."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from avalanche.core import SupervisedPlugin
from avalanche.training.supervised import Naive

from lifelong.boards.board import load_board
from lifelong.boards.plan import Wishes, make_plan
from lifelong.contracts import Scenario, Strategy, strategy
from lifelong.measures.detection import Drift
from lifelong.measures.inspection import Inspection
from lifelong.plasticity.operators import Grow
from lifelong.plasticity.plugin import Plasticity
from lifelong.plasticity.rule import Rule
from lifelong.plasticity.triggers.schedules import TaskArrives
from lifelong.records.record import Record
from lifelong.records.store import Store
from lifelong.registry import scenarios, strategies
from lifelong.training import checkpoint
from lifelong.training import execute as module
from lifelong.training.execute import execute
from lifelong.training.job import Job

Run = Callable[..., Record]
ROW = [True] * 3


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A strategy on toy, or on a scenario like it; two epochs."""

    def ran(method: Strategy, stream: Scenario | None = None, **options: Any) -> Record:
        board = load_board("toy-v1")
        wishes = Wishes(seeds="0", set=("budget.epochs=2",))
        (cell,) = (
            cell
            for cell in make_plan(board, wishes, Store(tmp_path, board.name)).cells
            if cell.strategy.name == ("joint" if method.offline else "naive")
        )
        assert cell.spec is not None
        job = Job(cell.spec, board.name, "", "", tmp_path, **options)
        return execute(job, stream or cell.scenario, method)

    return ran


@pytest.fixture
def naive() -> Strategy:
    return strategies.get("naive")


@pytest.fixture
def toy() -> Scenario:
    return scenarios.get("toy")


@strategy()
def growing(setup: Any) -> Any:
    return setup.naive(Plasticity(Rule(TaskArrives(), Grow(4))))


def evaluated(record: Record) -> list[list[bool]]:
    return [[value is not None for value in row] for row in record.accuracy or []]


def test_every_part_of_a_record_tells_something(run: Run) -> None:
    record = run(growing)
    assert Record.model_validate_json(record.to_json()) == record
    assert evaluated(record) == [ROW] * 4
    steps = 2 * 3  # epochs of 12 samples in batches of 4
    assert [entry.steps for entry in record.capacity] == [0, steps, 2 * steps, 3 * steps]
    assert [entry.samples for entry in record.capacity] == [0, 24, 48, 72]
    assert [entry.units for entry in record.capacity] == [32, 32, 36, 40]
    sizes = [16 * units + units + units * 6 + 6 for units in (32, 36, 40)]
    assert [entry.parameters for entry in record.capacity[1:]] == sizes
    assert record.capacity[0].average_parameters == sizes[0]
    assert record.capacity[-1].average_parameters == pytest.approx(sum(sizes) / 3)
    assert [(event.step, event.experience, event.operator, event.count) for event in record.events] == [
        (steps, 1, "grow", 4),
        (2 * steps, 2, "grow", 4),
    ]
    newborn = [entry.gradient_norm_newborn is not None for entry in record.learning]
    assert newborn == [False, True, True]
    assert all(entry.online_loss is not None and entry.dormant_units is not None for entry in record.learning)


@pytest.mark.parametrize("name", ["toy", "toy-domain", "toy-task"])
def test_every_reading_is_taken_on_every_protocol(run: Run, naive: Strategy, name: str) -> None:
    record = run(naive, scenarios.get(name))
    for entry in record.learning:
        assert entry.unread is None
        assert entry.gradient_norm is not None
        assert entry.effective_rank is not None
        assert entry.dormant_units is not None


class OwnPass(Naive):
    """Takes the logits out of what the network returns."""

    def forward(self) -> Any:
        return self.model(self.mb_x)["logits"]


class Wrapped(torch.nn.Module):
    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"logits": self.network(x)}


@strategy(source="for this test")
def own_pass(setup: Any) -> Any:
    setup.model = Wrapped(setup.model)
    return setup.make(OwnPass)


def test_a_forward_pass_of_the_strategys_own_is_read(run: Run, naive: Strategy) -> None:
    own, plain = run(own_pass), run(naive)
    assert own.accuracy == plain.accuracy
    for one, other in zip(own.learning, plain.learning, strict=True):
        assert one.unread is None
        assert one.gradient_norm == pytest.approx(other.gradient_norm)
        assert one.effective_rank == pytest.approx(other.effective_rank)


@strategy(source="for this test")
def unreadable(setup: Any) -> Any:
    trained = setup.naive()
    setup.model.register_forward_hook(lambda module, _, output: output if module.training else output.detach())
    return trained


def test_a_reading_that_fails_is_null_with_its_reason(run: Run) -> None:
    record = run(unreadable)
    assert record.ok
    for entry in record.learning:
        assert entry.gradient_norm is None
        assert entry.unread is not None
        assert entry.unread["gradient_norm"] == "the loss in eval mode has no gradient"
        assert entry.effective_rank is not None


def test_looking_at_a_run_does_not_change_it(run: Run, naive: Strategy, monkeypatch: pytest.MonkeyPatch) -> None:
    record = run(naive)
    monkeypatch.setattr(module, "inspect_strategy", lambda *_: Inspection({}, {}))
    blind = run(naive)
    assert record.accuracy == blind.accuracy
    assert record.learning[0].effective_rank is not None
    assert blind.learning[0].effective_rank is None
    assert [entry.online_loss for entry in record.learning] == [entry.online_loss for entry in blind.learning]


def test_where_only_the_current_test_set_is_scored(run: Run, naive: Strategy, toy: Scenario) -> None:
    everything, current = run(naive), run(naive, replace(toy, scored="current"))
    assert evaluated(current) == [[False] * 3] + [[column == row for column in range(3)] for row in range(3)]
    for index in range(3):
        assert (current.accuracy or [])[index + 1][index] == (everything.accuracy or [])[index + 1][index]
    joint = run(strategies.get("joint"), replace(toy, scored="current"))
    assert evaluated(joint) == [[False] * 3] * 3 + [ROW]
    assert len(joint.learning) == 1


def test_without_classes_there_is_no_accuracy(run: Run, naive: Strategy) -> None:
    record = run(naive, regression())
    assert evaluated(record) == [[False] * 3] * 4
    assert all(entry.online_accuracy is None for entry in record.learning)
    assert all(entry.online_loss is not None for entry in record.learning)


def regression() -> Scenario:
    """The suite's own, three experiences long."""
    entry = scenarios.get("slowly-changing-regression")
    return replace(entry, function=lambda context, **_: entry(context, experiences=3, samples=20))


def test_an_ordered_stream_is_trained_on_in_its_order(run: Run, toy: Scenario) -> None:
    seen: list[list[int]] = []

    class Watch(SupervisedPlugin):
        def before_training_iteration(self, strategy: Any, **_: object) -> None:
            seen.append(strategy.mb_y.tolist())

    watching = strategy()(lambda setup: setup.naive(Watch()))
    watching = replace(watching, name="watching")
    run(watching, replace(toy, ordered=True))
    in_order = sorted(seen[0] + seen[1] + seen[2])
    assert seen[0] + seen[1] + seen[2] == in_order  # toy's samples lie class by class
    seen.clear()
    run(watching, toy)
    assert seen[0] + seen[1] + seen[2] != in_order


def test_drifts_are_in_the_record(run: Run, naive: Strategy, toy: Scenario) -> None:
    drift = Drift(3, 5, "gradual")

    def drifting(context: Any, **parameters: Any) -> Any:
        benchmark = toy(context, **parameters)
        benchmark.drifts = (drift,)
        return benchmark

    record = run(naive, replace(toy, function=drifting))
    assert [entry.model_dump() for entry in record.drifts] == [asdict(drift)]
    assert run(naive).drifts == []


class KilledError(Exception):
    """A kill, as far as the run can tell."""


def test_a_run_taken_up_again_has_the_same_record(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = run(growing)
    save = checkpoint.save

    def save_and_stop(*given: Any) -> None:
        save(*given)
        raise KilledError

    monkeypatch.setattr(checkpoint, "save", save_and_stop)
    with pytest.raises(KilledError):
        run(growing, checkpoint_s=0.0)
    resumed = run(growing)
    assert resumed.provenance.resumed == 1
    same = {"accuracy", "capacity", "learning", "events"}
    assert resumed.model_dump(include=same) == whole.model_dump(include=same)


def test_weights_that_are_not_finite_end_a_run(run: Run) -> None:
    class Spoil(SupervisedPlugin):
        def after_training_exp(self, strategy: Any, **_: object) -> None:
            with torch.no_grad():
                next(strategy.model.parameters()).fill_(float("inf"))

    spoiled = replace(strategy()(lambda setup: setup.naive(Spoil())), name="spoiled")
    with pytest.raises(FloatingPointError, match="no longer finite after experience 1"):
        run(spoiled)
