"""Floors, ceilings, and what stands above them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lifelong.contracts import Role
from lifelong.records.record import Record
from lifelong.reporting.statistics.scores import contests
from lifelong.verification.plausible import BEYOND, implausible

From = Callable[..., Record]
ROLES: dict[str, Role] = {"naive": "floor", "joint": "ceiling", "cumulative": "reference", "random": "control"}
NOISE = (-0.02, -0.01, 0.0, 0.01, 0.02)


@pytest.fixture
def told(from_average: From) -> Callable[..., list[str]]:
    """What is said of strategies of such accuracies, one for each seed."""

    def found(**averages: list[float]) -> list[str]:
        records = [
            from_average(name, seed, value) for name, values in averages.items() for seed, value in enumerate(values)
        ]
        return [finding.what for finding in implausible("b", contests(records, ROLES))]

    return found


def around(mean: float, spread: float = 1.0, seeds: int = 5) -> list[float]:
    return [mean + spread * noise for noise in NOISE[:seeds]]


def test_what_is_plausible(told: Callable[..., list[str]]) -> None:
    assert told(naive=around(0.3), joint=around(0.9, 0.5), ewc=around(0.5), cumulative=[0.99] * 5) == []
    assert told(naive=around(0.3), ewc=around(0.5)) == [], "a stream that joint training cannot be on"


def test_a_ceiling_that_is_none(told: Callable[..., list[str]]) -> None:
    (below,) = told(naive=around(0.9), joint=around(0.3, 0.5))
    assert below.startswith("joint is not above naive: average accuracy -0.600 [")
    (noise,) = told(naive=around(0.5, -1.0), joint=around(0.505))
    assert noise.startswith("joint is not above naive: average accuracy +0.005 [-")
    assert noise.endswith(" over 5 seeds")


def test_few_seeds_are_judged_by_their_mean(told: Callable[..., list[str]]) -> None:
    assert told(naive=[0.4, 0.6], joint=[0.6, 0.5]) == []
    (below,) = told(naive=[0.4, 0.6], joint=[0.5, 0.4])
    assert below.startswith("joint is not above naive: average accuracy -0.050")
    assert len(told(naive=[0.5], joint=[0.5])) == 1


def test_beyond_the_ceiling(told: Callable[..., list[str]]) -> None:
    sound = {"naive": around(0.3), "joint": around(0.6)}
    assert told(**sound, ewc=around(0.6 + BEYOND / 2)) == []
    assert told(**sound, cumulative=around(0.9)) == []
    for name in ("ewc", "random"):
        (above,) = told(**sound, **{name: around(0.6 + 2 * BEYOND)})
        assert above.startswith(f"{name} is far above joint: average accuracy +0.040 [+0.040")
    assert told(**sound, ewc=around(0.6 + 2 * BEYOND, -3.0)) == [], "it may be noise"
