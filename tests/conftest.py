"""Warnings as `pyproject.toml` has them, no limits of time, and records in which nothing contradicts anything else."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from lifelong.boards.board import load_board
from lifelong.boards.plan import Wishes, make_plan
from lifelong.records.provenance import provenance
from lifelong.records.record import Record
from lifelong.records.spec import Spec
from lifelong.records.store import Store

settings.register_profile(
    "any machine",
    deadline=None,
    suppress_health_check=[*settings().suppress_health_check, HealthCheck.too_slow],
)
settings.load_profile("any machine")

LEVELS = {"naive": 0.4, "replay": 0.6, "joint": 0.9}
Make = Callable[..., Record]


@pytest.fixture(autouse=True)
def warnings_as_configured(monkeypatch):
    """At each call of what it has deprecated, Avalanche puts a filter of its own above ours, the errors among them."""
    if (annotations := sys.modules.get("avalanche._annotations")) is not None:
        silent = SimpleNamespace(warn=warnings.warn, simplefilter=lambda *_: None)
        monkeypatch.setattr(annotations, "warnings", silent)


@pytest.fixture(scope="session")
def specs(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, int], Spec]:
    """The runs that toy-v1 plans, by strategy and seed."""
    plan = make_plan(load_board("toy-v1"), Wishes(), Store(tmp_path_factory.mktemp("none"), "toy-v1"))
    return {(cell.strategy.name, cell.seed): cell.spec for cell in plan.cells if cell.spec is not None}


@pytest.fixture
def sound(specs: dict[tuple[str, int], Spec]) -> Make:
    """The record of a run; two seeds differ by a hundredth, strategies by their level."""

    def make(strategy: str = "naive", seed: int = 0, **changes: Any) -> Record:
        spec = changes.pop("spec", specs[strategy, seed])
        level = LEVELS[strategy] + seed / 100
        trainings = 1 if strategy == "joint" else 3
        between: list[float | None] = [None if trainings == 1 else level] * 3
        content = {
            "schema": 1,
            "key": spec.key,
            "board": "toy-v1",
            "spec": spec,
            "status": "ok",
            "accuracy": [[0.1] * 3, between, between, [level] * 3],
            "capacity": [capacity(step * 30 // trainings) for step in range(trainings + 1)],
            "learning": [{"online_loss": 1 / (i + level)} for i in range(trainings)],
            "times": {"train_s": [1.0] * trainings, "eval_s": [0.5] * (trainings + 1), "total_s": 9.0},
            "provenance": provenance("cpu").model_copy(update={"started_utc": "2026-01-02T03:04:05+00:00"}),
        }
        return Record.model_validate(content | changes)

    return make


def capacity(steps: int, **changes: float) -> dict[str, float]:
    """Of a network of a hundred parameters after as many steps."""
    names = ("parameters", "live_parameters", "average_parameters", "units", "macs", "live_macs")
    return dict.fromkeys(names, 100) | {"training_macs": 300 * steps, "steps": steps, "samples": steps} | changes


@pytest.fixture
def everything(sound: Make, tmp_path: Path) -> Path:
    """A folder with all of toy-v1."""
    for strategy in LEVELS:
        for seed in (0, 1):
            Store(tmp_path / "results", "toy-v1").write(sound(strategy, seed))
    return tmp_path / "results"
