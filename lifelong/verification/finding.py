"""What a verification finds, one fact at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from lifelong.records.bounds import plain

Level = Literal["fails", "open", "note"]
"""What cannot stand; a run that stands on its board beside the closed ones; what a reader should know."""

LONGEST = 400
"""Characters of what is told: names and values are a stranger's."""


@dataclass(frozen=True)
class Finding:
    """One fact, and where it was found."""

    check: str
    """What was looked at, as `keys`."""
    where: str
    """A file, or a board, scenario and strategy."""
    what: str
    """One sentence."""
    level: Level = "fails"

    def __post_init__(self) -> None:
        for name in ("where", "what"):
            text = plain(getattr(self, name))
            object.__setattr__(self, name, text if len(text) <= LONGEST else text[: LONGEST - 3] + "...")
