"""Runs that help to choose parameters: what they are trained and scored on, and that it is never test data."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from lifelong.boards.board import load_board
from lifelong.boards.plan import AtHand, Wishes, make_plan
from lifelong.contracts import Context, Scenario, Strategy, strategy
from lifelong.data.resident import Images
from lifelong.data.streams import Streams, benchmark_of
from lifelong.errors import UsageError
from lifelong.records.record import Record
from lifelong.records.spec import Spec, Validation
from lifelong.registry import scenarios
from lifelong.training.execute import execute
from lifelong.training.job import Job
from lifelong.training.prepare import load_scenario
from lifelong.verification.closed import Division

SHARE = 0.4


class Forbidden(Images):
    """Images that nobody may look at."""

    def read(self, rows: torch.Tensor) -> Any:
        raise PermissionError(f"{len(rows)} test samples were read")

    def __getitem__(self, index: Any) -> Any:
        raise PermissionError(f"test sample {index} was read")


def guarded(scenario: Scenario) -> Scenario:
    """The same scenario with test data that cannot be read."""

    def build(context: Context, **parameters: Any) -> Any:
        benchmark = scenario(context, **parameters)
        streams: Streams = {}
        for name, stream in benchmark.streams.items():
            datasets = [experience.dataset for experience in stream]
            columns = [
                tuple(torch.stack([torch.as_tensor(d[i][k]) for i in range(len(d))]) for k in (0, 1)) for d in datasets
            ]
            kind = Forbidden if name == "test" else Images
            streams[name] = [(kind(x, y, name=f"{name}/{i}"), list(range(len(y)))) for i, (x, y) in enumerate(columns)]
        return benchmark_of(streams, "0" * 64, task_labels=scenario.protocol == "task")

    return replace(scenario, function=build)


@strategy()
def watched(setup: Any) -> Any:
    """Fine-tuning; the last one made is kept, to be looked at."""
    watched_networks[:] = [setup.model]
    return setup.naive()


watched_networks: list[torch.nn.Module] = []


def spec(scenario: str = "toy", validation: Validation | None = None, share: float = SHARE) -> Spec:
    wishes = Wishes(scenarios=(scenario,), seeds="7", set=("budget.epochs=2", f"{scenario}.validation={share}"))
    made = make_plan(load_board("toy-v1"), wishes, AtHand())
    found = next(cell.spec for cell in made.cells if cell.strategy.name == "naive" and cell.spec is not None)
    return found.model_copy(update={"validation": validation})


def run(tmp_path: Path, of: Spec, scenario: Scenario | None = None, method: Strategy = watched) -> Record:
    job = Job(of, "toy-v1", of.scenario.name, "naive", tmp_path)
    return execute(job, scenario or scenarios.get(of.scenario.name), method)


@pytest.mark.parametrize("name", ["toy", "toy-domain", "toy-task"])
def test_no_test_data_are_read(tmp_path: Path, name: str) -> None:
    unreadable = guarded(scenarios.get(name))
    validating = spec(name, Validation(experiences=2))
    assert run(tmp_path, validating, unreadable).accuracy == run(tmp_path, validating).accuracy
    with pytest.raises(PermissionError, match="test samples were read"):
        run(tmp_path, spec(name), unreadable)


def test_it_is_scored_on_the_samples_held_out(tmp_path: Path) -> None:
    record = run(tmp_path, spec(validation=Validation()))
    (network,) = watched_networks
    expected = []
    for experience in load_scenario("toy", seed=7, validation=SHARE).valid_stream:
        x, y, _ = (
            torch.stack([torch.as_tensor(value) for value in column])
            for column in zip(*experience.dataset, strict=True)
        )
        expected.append(float((network(x).argmax(1) == y).float().mean()))
    assert record.accuracy is not None
    assert record.accuracy[-1] == pytest.approx(expected)
    assert len({*expected}) > 1


def test_training_is_the_same_whatever_it_is_scored_on(tmp_path: Path) -> None:
    weights = []
    for validation in (None, Validation()):
        run(tmp_path, spec(validation=validation))
        weights.append(torch.nn.utils.parameters_to_vector(watched_networks[0].parameters()).detach().clone())
    assert torch.equal(*weights)


@pytest.mark.parametrize("name", ["toy", "toy-domain"])
def test_it_sees_the_first_experiences_alone_with_the_network_of_the_whole_stream(tmp_path: Path, name: str) -> None:
    whole, first = (run(tmp_path, spec(name, Validation(experiences=count))) for count in (None, 2))
    assert [len(record.accuracy or []) for record in (whole, first)] == [4, 3]
    assert (first.accuracy or [])[-1] == (whole.accuracy or [])[2][:2]
    assert first.capacity[0].parameters == whole.capacity[0].parameters
    assert first.capacity[2].samples == whole.capacity[2].samples


def test_a_stream_may_be_shorter(tmp_path: Path) -> None:
    assert len(run(tmp_path, spec(validation=Validation(experiences=9))).accuracy or []) == 4


def test_its_record_is_no_result(tmp_path: Path) -> None:
    validating, usual = spec(validation=Validation()), spec()
    assert validating.key != usual.key
    assert validating.setting != usual.setting
    assert "validation" not in usual.model_dump()
    assert Record.model_validate_json(run(tmp_path, validating).to_json()).spec.validation == Validation()
    board = load_board("toy-v1")
    made = make_plan(board, Wishes(seeds="7"), AtHand([run(tmp_path, validating)]))
    assert made.ranked(everyone=True) == []
    division = Division(board, tuple(made.cells))
    assert not division.on_the_board(validating)
    assert division.outside(validating) == ["it is scored on validation samples"]


def test_without_samples_held_out_it_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no samples are held out"):
        run(tmp_path, spec(validation=Validation(), share=0.0))
