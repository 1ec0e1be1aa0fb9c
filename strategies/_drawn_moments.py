"""Growth at moments that were drawn beforehand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Generator

from lifelong.plasticity import Firing, Moment, MomentKind, Trigger


@dataclass
class DrawnMoments(Trigger):
    """Fires for each layer at moments of its own, which are drawn uniformly over the steps of a stream."""

    _due: dict[str, Counter[int]] = field(default_factory=dict, init=False)

    def draw(self, units: Mapping[str, int], steps: int, generator: Generator) -> None:
        """Let each unit of a layer have a step of its own, from 1 to `steps`."""
        for layer, count in units.items():
            self._due[layer] = Counter((1 + torch.randint(steps, (count,), generator=generator)).tolist())

    def due(self, moment: Moment, layer: str) -> int:
        """How many units a layer gets now."""
        return self._due[layer][moment.step]

    def fires(self, moment: Moment) -> Firing | None:
        if moment.kind is not MomentKind.STEP:
            return None
        layers = {layer: float(steps[moment.step]) for layer, steps in self._due.items() if steps[moment.step]}
        return Firing(self.name, layers=layers) if layers else None
