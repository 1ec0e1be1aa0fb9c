"""Self-normalised resets: when a unit has been silent for too long, by its own standard."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from lifelong.plasticity import FiringAge, Moment, UnitScore
from lifelong.plasticity.following import carry_units
from lifelong.structure import Change, Structure


@dataclass
class Patience(UnitScore):
    """Scores a unit by how many more updates it may stay silent: 0 or less means that it has been silent for too long.

    A unit fires at an update if it is above zero for some sample of the batch. The lengths of its silences are counted,
    and so are those of silences that a reset ended. Every `window` updates its threshold becomes the (1 - eta)
    percentile of the silences since the last time, if that is less than the threshold. Else the threshold doubles, to
    at most `cap`. The doubling is needed because resets cut short the silences that are longer than the threshold, so
    that a percentile alone could only ever fall.

    This is the authors' code, which counts samples, with two choices of ours. Thresholds begin at `cap`. A unit without
    any silence has no percentile, and its threshold doubles; in that code it falls to a single batch.

    Args:
        eta: the share of its silences that may count as too long, in (0, 1).
        window: number of updates after which thresholds are set anew.
        cap: the largest threshold, in updates.
    """

    eta: float
    window: int
    cap: int
    watches: ClassVar[bool] = True

    def check(self, structure: Structure, layers: tuple[str, ...]) -> None:
        """Refuse layers whose units are never exactly silent, such as those of tanh."""
        FiringAge().check(structure, layers)

    def observe(self, moment: Moment, layer: str) -> None:
        fired = (moment.activations(layer) > 0).any(0)
        known = self.state.setdefault(layer, self._nothing(fired))
        age = known["age"]
        ended = (fired & (age > 0)).to(torch.int32)
        known["silences"].scatter_add_(1, age.clamp(max=self.cap)[:, None], ended[:, None])
        known["age"] = (age + 1).masked_fill_(fired, 0)
        if moment.step % self.window == 0:
            self._judge(known)

    def __call__(self, moment: Moment, layer: str) -> Tensor:
        del moment
        known = self.state[layer]
        return known["threshold"] - known["age"]

    def carry(self, change: Change) -> None:
        """Follow a change of one layer's units; what is known of a unit outlives its reset, as in the authors' code."""
        known = self.state.get(change.layer)
        if known is None:
            return
        if change.restarted:
            units = torch.tensor(change.restarted, device=known["age"].device)
            known["silences"][units, known["age"][units].clamp(max=self.cap)] += 1
            known["age"][units] = 0
            return
        for name, start in {"age": 0, "silences": 0, "threshold": self.cap}.items():
            known[name] = carry_units(known[name], change, start)

    def _nothing(self, fired: Tensor) -> dict[str, Tensor]:
        age = torch.zeros(len(fired), dtype=torch.int64, device=fired.device)
        silences = torch.zeros(len(fired), self.cap + 1, dtype=torch.int32, device=fired.device)
        return {"age": age, "silences": silences, "threshold": torch.full_like(age, self.cap)}

    def _judge(self, known: dict[str, Tensor]) -> None:
        """Set the thresholds anew; a silence of length 0, which is none, does not count."""
        reached = known["silences"][:, 1:].cumsum(1)
        total = reached[:, -1]
        percentile = (reached < (1 - self.eta) * total[:, None]).sum(1) + 1
        threshold = known["threshold"]
        shorter = (total > 0) & (percentile < threshold)
        known["threshold"] = torch.where(shorter, percentile, 2 * threshold).clamp(max=self.cap)
        known["silences"].zero_()
