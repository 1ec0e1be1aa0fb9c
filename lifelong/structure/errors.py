"""What is refused: the network is then exactly as it was."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class StructureError(ValueError):
    """A change that cannot be made, or a network that cannot be analysed: which module, and why."""


def unknown(kind: str, name: str, known: Iterable[str]) -> StructureError:
    """The error for a name that is not there, with the nearest names that are."""
    known = list(known)
    near = get_close_matches(name, known, n=3, cutoff=0.4) or known[:10]
    return StructureError(f"no {kind} {name!r}; the nearest are {', '.join(map(repr, near))}")
