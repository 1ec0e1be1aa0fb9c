"""Records by what they are ranked by."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest

from lifelong.records.record import Record


@pytest.fixture
def runs(from_average: Callable[..., Record]) -> Callable[..., list[Record]]:
    """Records of one strategy on one scenario, from the average accuracies of its seeds."""

    def made(strategy: str, averages: Iterable[float], **more: Any) -> list[Record]:
        return [from_average(strategy, seed, average, **more) for seed, average in enumerate(averages)]

    return made
