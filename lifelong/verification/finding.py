"""One fact that a verification found; `report` prints many of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from lifelong.records.bounds import plain

Level = Literal["fails", "open", "note"]
"""`fails`: the results cannot stand. `open`: a run is not closed, but may stand. `note`: a reader should know it."""

LONGEST = 400
"""The most characters of a text. Names and values come from a stranger's records, and may be of any length."""


@dataclass(frozen=True)
class Finding:
    """Says one fact, and where it was found."""

    check: str
    """What was looked at, such as `keys` or `seeds`."""
    where: str
    """A file, or a board, scenario and strategy."""
    what: str
    """One sentence."""
    level: Level = "fails"

    def __post_init__(self) -> None:
        for name in ("where", "what"):
            text = plain(getattr(self, name))
            object.__setattr__(self, name, text if len(text) <= LONGEST else text[: LONGEST - 3] + "...")
