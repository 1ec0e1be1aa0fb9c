"""What a stream tells of its boundaries."""

from __future__ import annotations

from typing import Any, Literal

from avalanche.benchmarks import OnlineCLExperience


def tells_boundaries(experience: Any) -> bool:
    """Whether a learner may know where an experience begins and ends; an online stream of Avalanche's may hide it."""
    return not isinstance(experience, OnlineCLExperience) or bool(experience.access_task_boundaries)


def is_end(experience: Any, which: Literal["first", "last"]) -> bool:
    """Whether it is the first or the last part of what an online stream was cut from.

    An experience that is whole is both; so is a part of a stream that hides its boundaries, which tells of none.
    """
    is_part = isinstance(experience, OnlineCLExperience) and experience.access_task_boundaries
    return not is_part or bool(getattr(experience, f"is_{which}_subexp"))
