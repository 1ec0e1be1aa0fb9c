"""Errors that the user can mend.

LifelongError
└── UsageError       the request cannot be carried out
    └── DataError    the files of a data set are absent or damaged

Both are raised before any training, and end the command with exit code 2.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from traceback import FrameSummary, extract_tb


class LifelongError(Exception):
    """The base of all errors that `lifelong` explains in a sentence, without a traceback."""


class UsageError(LifelongError):
    """The request itself is wrong. The message says what is wrong, where, and which valid choice is nearest."""


class DataError(UsageError):
    """A data set cannot be read. The message says which files are expected where."""


def unknown(kind: str, name: str, known: Iterable[str], see: str = "") -> UsageError:
    """Return the error for a name that does not exist, with the nearest names that do.

    Args:
        kind: what the name should be, such as `strategy`.
        name: the name that was asked for.
        known: the names that exist.
        see: a command that lists them; empty for none.

    >>> print(unknown("strategy", "naiv", ["ewc", "naive", "replay"]))
    no strategy 'naiv'; did you mean 'naive'?
    """
    known = sorted(known)
    message = f"no {kind} {name!r}"
    if near := get_close_matches(name, known, n=3, cutoff=0.5):
        message += "; did you mean " + " or ".join(repr(match) for match in near) + "?"
    elif known:
        message += f"; there {'is' if len(known) == 1 else 'are'} " + ", ".join(known[:20])
    if see:
        message += f" (see {see!r})"
    return UsageError(message)


def frame_of(error: BaseException, file: str) -> FrameSummary:
    """Return where an error was raised: the last line of a file that it passed through, or else the last of all.

    Args:
        error: an error that was caught.
        file: the file that a user would look into.
    """
    frames = extract_tb(error.__traceback__)
    return ([frame for frame in frames if frame.filename == file] or list(frames))[-1]
