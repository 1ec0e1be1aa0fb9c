"""The selection of developmental pruning (DPAP): what is of little use for long enough does not survive."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import exp
from typing import NamedTuple

import torch
from torch import Tensor

from lifelong.errors import UsageError
from lifelong.plasticity.following import carry_units, renamed_keys
from lifelong.plasticity.moment import Moment
from lifelong.plasticity.operators.base import Operator
from lifelong.plasticity.ranking import lowest
from lifelong.plasticity.scores.base import SynapseScore, UnitScore
from lifelong.plasticity.selection import Selection, check_selection
from lifelong.structure import Change, Role


class Law(NamedTuple):
    """Holds the numbers by which survival follows use, see `Survival`.

    Attributes:
        offset: survival grows where twice the use, in [0, 2], is above this number.
        bonus: what is added to that growth.
        horizon: after so many epochs a change of survival counts for 1/e of what it did before.
    """

    offset: float
    bonus: float
    horizon: int


CONVOLUTION, DENSE = Law(0.65, 5.0, 12), Law(1.5, 2.0, 13)
"""The numbers in the code of DPAP."""


@dataclass
class Survival(Selection):
    """Selects all whose survival S has fallen below zero, as DPAP does (Han et al. 2022, arXiv:2211.12714, its code).

    Use it with a trigger that fires once an epoch. Its times count the firings from 0. At each time from `begin` on,
    with the score D of each unit or synapse:

        u = clip((D - min D) / (75th percentile of D - min D), 0, 1)
        d = 2 u - offset, and + bonus if that is above 0
        S <- decay S + d exp(-floor((time - begin) / horizon))

    Minimum and percentile are over a layer's units, or a weight's synapses. Two things are our choice: u is 1 where
    minimum and percentile are equal, and new and restarted units or synapses begin with S = `start`.

    Args:
        score: a score of units or of synapses.
        begin: how many times S stays as it is at first, at least 0.
        start: S at the beginning, at least 0.
        decay: the factor by which S shrinks each time, in (0, 1].
        convolution: offset, bonus and horizon for convolutions.
        dense: offset, bonus and horizon for all other layers.

    Raises:
        UsageError: if an argument is out of range.
    """

    score: UnitScore | SynapseScore
    begin: int = 5
    start: float = 10.0
    decay: float = 0.999
    convolution: Law = CONVOLUTION
    dense: Law = DENSE
    _strength: dict[str, Tensor] = field(default_factory=dict, init=False, repr=False)
    _times: dict[str, int] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        check_selection(self)
        if not 0 < self.decay <= 1:
            raise UsageError(f"Survival: decay = {self.decay} is not in (0, 1]; the default is 0.999")
        for name in ("begin", "start"):
            if getattr(self, name) < 0:
                raise UsageError(f"Survival: {name} = {getattr(self, name)}; the least is 0")

    def carry(self, change: Change) -> None:
        super().carry(change)
        if isinstance(self.score, SynapseScore):
            self._strength = change.carry(self._strength, self.start)
            # A change of synapses is told by the names of parameters, one of units by the names of layers.
            self._times = {change.renamed.get(name, name): times for name, times in self._times.items()}
            return
        self._strength = renamed_keys(self._strength, change)
        self._times = renamed_keys(self._times, change)
        if change.layer in self._strength:
            self._strength[change.layer] = carry_units(self._strength[change.layer], change, self.start)

    def forget(self) -> None:
        super().forget()
        self._strength.clear()
        self._times.clear()

    def _choose(self, moment: Moment, candidates: Mapping[str, Tensor], operator: Operator | None) -> dict[str, Tensor]:
        del operator
        chosen: dict[str, Tensor] = {}
        for name, free in candidates.items():
            strength = self._judged(moment, name, free)
            chosen |= lowest({name: strength}, {name: (strength < 0) & free.to(strength.device)})
        return chosen

    def _judged(self, moment: Moment, name: str, free: Tensor) -> Tensor:
        """Count this time, and return S after it, in the shape of the scores."""
        score = self._scored(moment, name, free)
        strength = self._strength.setdefault(name, torch.full_like(score, self.start))
        time = self._times.get(name, 0)
        self._times[name] = time + 1
        if time >= self.begin:
            law = self._law(moment, name)
            # Protected units are among those whose minimum and percentile are taken, although they cannot be chosen.
            least, most = score.min(), score.flatten().quantile(0.75)
            use = torch.where(most > least, ((score - least) / (most - least)).clamp(0, 1), 1)
            gain = 2 * use - law.offset
            gain += law.bonus * (gain > 0)
            strength = self.decay * strength + gain * exp(-((time - self.begin) // law.horizon))
            self._strength[name] = strength
        # S of the candidates and of all others alike: a unit that is protected now may be free later.
        return strength

    def _law(self, moment: Moment, name: str) -> Law:
        """Return the numbers for convolutions where a weight has more than two dimensions, else those for others."""
        weights = [name]
        if isinstance(self.score, UnitScore):
            weights = [slot.tensor for slot in moment.layer(name).slots_of(Role.FAN_IN, Role.TIED)]
        dims = max(moment.structure.network.get_parameter(weight).dim() for weight in weights)
        return self.convolution if dims > 2 else self.dense
