"""Defines what a check is, and what it answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from lifelong.checking.subject import Subject

Verdict = Literal["passed", "failed", "note", "not applicable"]


@dataclass(frozen=True)
class Answer:
    """Says what a check saw, and what follows from it."""

    verdict: Verdict
    happened: str = ""
    """What was seen; where a check is not applicable, the reason."""
    cause: str = ""
    """The likely cause of a failure."""
    remedy: str = ""
    """How to mend it."""


PASSED = Answer("passed")


def failed(happened: str, cause: str, remedy: str) -> Answer:
    """Answer that a strategy does what it must not do, why it probably does so, and how to mend it."""
    return Answer("failed", happened, cause, remedy)


def note(happened: str) -> Answer:
    """Answer with something that a reader should know, and that is no failure."""
    return Answer("note", happened)


def not_applicable(reason: str) -> Answer:
    """Answer that there is nothing to look at, and why."""
    return Answer("not applicable", reason)


@dataclass(frozen=True)
class Check:
    """Looks at one thing that every strategy has to keep to."""

    name: str
    expected: str
    """What has to be seen, in half a sentence."""
    look: Callable[[Subject], Answer]
    vital: bool = False
    """Whether nothing else can be looked at where this fails."""


def check(name: str, expected: str, *, vital: bool = False) -> Callable[[Callable[[Subject], Answer]], Check]:
    """Make a function `(subject) -> Answer` a check."""
    return lambda look: Check(name, expected, look, vital)
