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
    """Says what a check came to."""

    verdict: Verdict
    happened: str = ""
    """What was seen; for a check that is not applicable, the reason."""
    cause: str = ""
    """The likely cause."""
    remedy: str = ""
    """How to mend it."""


PASSED = Answer("passed")


def failed(happened: str, cause: str, remedy: str) -> Answer:
    """Return the answer for a strategy that does what it must not: what happened, the likely cause, how to mend it."""
    return Answer("failed", happened, cause, remedy)


def note(happened: str) -> Answer:
    """Return an answer that a reader should know, but that is no failure."""
    return Answer("note", happened)


def not_applicable(reason: str) -> Answer:
    """Return the answer for a strategy or a scenario on which there is nothing to check."""
    return Answer("not applicable", reason)


@dataclass(frozen=True)
class Check:
    """Checks one thing that every strategy has to keep to."""

    name: str
    expected: str
    """What a strategy does that passes, as half a sentence."""
    look: Callable[[Subject], Answer]
    """Carries the check out."""
    vital: bool = False
    """Whether no later check can be made once this one has failed."""


def check(name: str, expected: str, *, vital: bool = False) -> Callable[[Callable[[Subject], Answer]], Check]:
    """Return a decorator that makes a check of a function `(subject) -> Answer`.

    Args:
        name: the name of the check.
        expected: what a strategy does that passes, as half a sentence.
        vital: whether no later check can be made once this one has failed.
    """
    return lambda look: Check(name, expected, look, vital)
