"""`StructureError`: raised wherever a change or a network is refused. The network is then exactly as it was."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class StructureError(ValueError):
    """Says which change cannot be made, or which network cannot be analysed, and why."""


def unknown(kind: str, name: str, known: Iterable[str]) -> StructureError:
    """Return the error for an unknown name, with the nearest known names.

    >>> str(unknown("layer", "feature", ["features.0", "features.2", "head"]))
    "no layer 'feature'; the nearest are 'features.2', 'features.0'"
    """
    known = list(known)
    near = get_close_matches(name, known, n=3, cutoff=0.4) or known[:10]
    return StructureError(f"no {kind} {name!r}; the nearest are {', '.join(map(repr, near))}")
