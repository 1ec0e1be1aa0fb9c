"""What goes wrong in a way that the user can mend.

LifelongError
├── UsageError       asked for something that cannot be: told before any training, exit code 2
└── DataError        a data set's files are absent or damaged: told before any training, exit code 2
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class LifelongError(Exception):
    """The base of all errors that `lifelong` explains in a sentence instead of a traceback."""


class UsageError(LifelongError):
    """The request itself is wrong. The message says what, where, and the nearest valid choice."""


class DataError(UsageError):
    """A data set cannot be read. The message says which files are expected where."""


def unknown(kind: str, name: str, known: Iterable[str], see: str = "") -> UsageError:
    """The error for a name that is not there, with the nearest names that are."""
    known = sorted(known)
    message = f"no {kind} {name!r}"
    if near := get_close_matches(name, known, n=3, cutoff=0.5):
        message += "; did you mean " + " or ".join(repr(match) for match in near) + "?"
    elif known:
        message += f"; there {'is' if len(known) == 1 else 'are'} " + ", ".join(known[:20])
    if see:
        message += f" (see {see!r})"
    return UsageError(message)
