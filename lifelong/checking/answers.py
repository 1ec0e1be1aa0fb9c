"""What a check is, and what it answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from lifelong.checking.subject import Subject

Verdict = Literal["passed", "failed", "note", "not applicable"]


@dataclass(frozen=True)
class Answer:
    """What a check found."""

    verdict: Verdict
    happened: str = ""
    """What was seen; where a check is not applicable, why."""
    cause: str = ""
    """The likely one."""
    remedy: str = ""


PASSED = Answer("passed")


def failed(happened: str, cause: str, remedy: str) -> Answer:
    """Something that a strategy must not do, why it probably does, and how to mend it."""
    return Answer("failed", happened, cause, remedy)


def note(happened: str) -> Answer:
    """What a reader should know, and is no failure."""
    return Answer("note", happened)


def not_applicable(reason: str) -> Answer:
    """There is nothing to look at."""
    return Answer("not applicable", reason)


@dataclass(frozen=True)
class Check:
    """One thing that every strategy has to keep to."""

    name: str
    expected: str
    """What passes, as half a sentence."""
    look: Callable[[Subject], Answer]
    vital: bool = False
    """Whether nothing else can be looked at where it fails."""


def check(name: str, expected: str, *, vital: bool = False) -> Callable[[Callable[[Subject], Answer]], Check]:
    """Make a function `(subject) -> Answer` a check."""
    return lambda look: Check(name, expected, look, vital)
