"""The moment at which accuracy has fallen."""

from __future__ import annotations

from dataclasses import dataclass

from lifelong.plasticity import Dropped, Firing


@dataclass
class Decreased(Dropped):
    """Fires when accuracy is lower than at the last evaluation; unlike `Dropped`, not when it has stayed the same."""

    def _seen(self, mean: float) -> Firing | None:
        firing = super()._seen(mean)
        return firing if firing is not None and firing.value else None
