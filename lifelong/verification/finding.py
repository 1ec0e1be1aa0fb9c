"""Defines what a verification finds: one fact at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from lifelong.records.bounds import plain

Level = Literal["fails", "open", "note"]
"""`fails`: it cannot stand. `open`: a run that chose what closed runs may not. `note`: a reader should know of it."""

LONGEST = 400
"""How many characters a finding may have, because names and values in it are a stranger's."""


@dataclass(frozen=True)
class Finding:
    """Holds one fact, and where it was found."""

    check: str
    """What was looked at, such as `keys`."""
    where: str
    """A file, or the names of a board, a scenario and a strategy."""
    what: str
    """One sentence."""
    level: Level = "fails"

    def __post_init__(self) -> None:
        for name in ("where", "what"):
            text = plain(getattr(self, name))
            object.__setattr__(self, name, text if len(text) <= LONGEST else text[: LONGEST - 3] + "...")
