"""Records as strangers would leave them behind."""

from collections.abc import Callable, Iterable
from typing import Any

import pytest

from lifelong.records.entries import Capacity, Event, Learning, Provenance, Times
from lifelong.records.record import Record
from lifelong.records.spec import Budget, Choice, Spec

PROVENANCE = Provenance(
    started_utc="2026-01-02T03:04:05Z",
    versions={"lifelong": "0.1.0", "torch": "2.15.0"},
    commit=None,
    machine="x86_64",
    cpu="a processor",
    device="cpu",
    threads=1,
)
ACCURACY: list[list[float | None]] = [[0.5, 0.25, None], [0.75, 0.5, None], [0.625, 1.0, 0.5], [0.5, 0.75, 0.875]]
"""Average accuracy 17/24, forgetting 0.25, backward transfer -0.25; a NaN in forward transfer."""


def capacity(i: int) -> Capacity:
    """After i experiences of ten steps each."""
    return Capacity(
        parameters=100 + i,
        live_parameters=50 + i,
        average_parameters=100 + i / 2,
        units=10 + i,
        macs=90 + i,
        live_macs=45 + i,
        training_macs=1000 * i,
        steps=10 * i,
        samples=100 * i,
    )


@pytest.fixture
def make_record() -> Callable[..., Record]:
    def make(
        strategy: str = "ewc",
        seed: int = 0,
        accuracy: list[list[float | None]] | None = ACCURACY,
        *,
        scenario: str = "digits-class",
        parameters: dict[str, Any] | None = None,
        status: str = "ok",
        error: str | None = None,
        lr: float = 0.1,
        events: Iterable[Event] = (),
    ) -> Record:
        spec = Spec(
            scenario=Choice(name=scenario, parameters={"experiences": 3}),
            strategy=Choice(name=strategy, parameters=parameters or {}),
            model=Choice(name="mlp", parameters={"widths": [400, 400]}),
            budget=Budget(lr=lr),
            seed=seed,
        )
        rows = len(accuracy or [])
        return Record.model_validate(
            {
                "schema": 1,
                "key": spec.key,
                "board": "classic",
                "spec": spec.model_dump(),
                "status": status,
                "error": error,
                "accuracy": accuracy,
                "capacity": [capacity(i) for i in range(rows)],
                "learning": [Learning(online_loss=1 / i, online_accuracy=i / 10) for i in range(1, rows)],
                "events": list(events),
                "times": Times(setup_s=0.5, train_s=[2.0] * max(rows - 1, 0), eval_s=[0.25] * rows, total_s=9.0),
                "peak_memory_mb": 321.5,
                "provenance": PROVENANCE,
            }
        )

    return make


@pytest.fixture
def from_average(make_record: Callable[..., Record]) -> Callable[..., Record]:
    """A record of one experience, whose average accuracy is given."""

    def make(strategy: str, seed: int, average: float, **more: Any) -> Record:
        return make_record(strategy, seed, [[0.0], [average]], **more)

    return make
