"""How the strategies of a board are tuned: with how many trials each, by which protocol, on which seeds."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from pydantic import Field, field_validator

from lifelong.records.bounds import MAX_EXPERIENCES
from lifelong.records.entries import TuningProtocol
from lifelong.records.spec import Strict

FIRST = 3
"""How many experiences a trial of the protocol `first` sees, as in the source of that protocol (`TuningProtocol`)."""


class Tuning(Strict):
    """The effort that every strategy of a board gets. Both protocols score on samples held out of training.

    `first` is the default. A learner does not have the whole stream at hand to choose parameters on, so a trial sees
    the first experiences only. With ten experiences, a trial then takes a third of the time. In the source, these
    experiences are no part of what is evaluated later. Here the board's seeds draw other streams, in which the same
    classes come in another order.

    tuning = { trials = 20, seeds = [100, 101], protocol = "first", validation = 0.2 }
    """

    trials: int = Field(
        20, ge=1, le=10_000, description="trials of each strategy; the first has the board's own values"
    )
    seeds: list[Annotated[int, Field(ge=0, lt=2**32)]] = Field([100, 101], min_length=1, max_length=MAX_EXPERIENCES)
    protocol: TuningProtocol = "first"
    validation: float = Field(0.2, gt=0, le=0.9, description="share of each class's training samples held out")

    @field_validator("seeds")
    @classmethod
    def _distinct(cls, seeds: list[int]) -> list[int]:
        if len(set(seeds)) < len(seeds):
            raise ValueError("a seed stands twice")
        return seeds

    @property
    def experiences(self) -> int | None:
        """How many experiences of the stream a trial sees; None for all."""
        return FIRST if self.protocol == "first" else None


def check_apart(seeds: Iterable[int], board_seeds: Iterable[int]) -> None:
    """Check that parameters are chosen on other seeds than those of the results.

    Args:
        seeds: the seeds of the trials.
        board_seeds: the seeds of the results.

    Raises:
        ValueError: if they share a seed. The message names free ones.
    """
    taken = set(board_seeds)
    if shared := sorted(taken.intersection(seeds)):
        free = [seed for seed in range(100, 102 + len(taken)) if seed not in taken][:2]
        raise ValueError(f"{shared[0]} is one of the board's own seeds, which the results have; take others: {free}")
