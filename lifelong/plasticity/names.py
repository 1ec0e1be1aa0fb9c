"""The names that records give to the parts of a rule."""

from __future__ import annotations

import re


def shown(part: object) -> str:
    """Return the name of a part's class in small letters, with hyphens between its words.

    >>> class PruneSynapses: ...
    >>> shown(PruneSynapses())
    'prune-synapses'
    """
    return re.sub(r"(?<=.)(?=[A-Z])", "-", type(part).__name__).lower()
