"""Triggers that look at how each layer uses its units: at full rank, at dormant units, at units that are left."""

from __future__ import annotations

from abc import abstractmethod
from collections import deque
from dataclasses import dataclass, field
from math import floor
from typing import Literal

import torch
from torch import Tensor

from lifelong.errors import UsageError
from lifelong.plasticity.following import carry_units, renamed_keys
from lifelong.plasticity.moment import Firing, Moment
from lifelong.plasticity.scores.firing import FiringAge
from lifelong.plasticity.triggers.periods import Periodic
from lifelong.structure import Change, Structure, frozen_units


@dataclass
class _Watching(Periodic):
    """Judges each layer by its units' activations on the last samples, once there are enough samples.

    The activations follow every change. Those of new and reset units are NaN for samples from before their birth. A
    firing has a value for each layer.
    """

    watches = True
    _seen: dict[str, deque[Tensor]] = field(default_factory=dict, init=False, repr=False)

    @abstractmethod
    def _wanted(self, units: int) -> int:
        """Return how many samples are looked at for a layer with this many units."""

    @abstractmethod
    def _value(self, moment: Moment, layer: str, activations: Tensor) -> float | None:
        """Return the value of the firing for one layer, or None if the rule does not act there.

        Args:
            moment: the present moment.
            layer: the name of the layer.
            activations: of shape (samples, units); NaN where a unit was not there yet.
        """

    def _note(self, moment: Moment) -> None:
        for layer in moment.layers:
            rows, new = self._seen.setdefault(layer, deque()), moment.activations(layer)
            rows.append(new)
            # Whole batches are dropped, the oldest first, as long as enough samples are left without them.
            wanted = self._wanted(new.shape[1])
            while _samples(rows) - len(rows[0]) >= wanted:
                rows.popleft()

    def _judge(self, moment: Moment) -> Firing | None:
        layers = {}
        for layer in moment.layers:
            rows = self._seen.get(layer)
            if not rows or _samples(rows) < self._wanted(rows[-1].shape[1]):
                continue
            value = self._value(moment, layer, torch.cat(list(rows)))
            if value is not None:
                layers[layer] = value
        return Firing(self.name, layers=layers) if layers else None

    def carry(self, change: Change) -> None:
        self._seen = renamed_keys(self._seen, change)
        if change.layer in self._seen:
            # Units are the columns here, and the first dimension for `carry_units`.
            rows = self._seen[change.layer]
            self._seen[change.layer] = deque(carry_units(seen.t(), change, torch.nan).t() for seen in rows)

    def forget(self) -> None:
        self._seen.clear()


@dataclass
class RankSaturated(_Watching):
    """Fires when the activations of a layer have nearly full rank.

    With A the activations, of shape (n, units), the number of singular values with sigma(A) / sqrt(n) > least has to
    exceed a share of the units, rounded down to whole units.

    This is NORTH* of Maile et al. (2022), with the numbers and the rounding of its authors' code. It adds as many units
    as exceed the share: `Rule(when=RankSaturated(steps=100), what=Grow(excess))`, two for a layer of 64 units at full
    rank. When it looks, and at how many samples, is our choice.

    Args:
        share: the share of the units, in (0, 1).
        least: a direction counts if its singular value, divided by the root of the samples, is above this; above 0.
        samples: how many samples are looked at for each unit, at least 1.
        steps: the length of a period, see `Periodic`.

    The value of a firing is the number of whole units in excess, for each layer.

    Raises:
        UsageError: if an argument is out of range.
    """

    share: float = 0.97
    least: float = 0.01
    samples: int = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.share < 1:
            raise UsageError(f"RankSaturated: share = {self.share} is not in (0, 1); the paper has 0.97")
        if self.least <= 0:
            raise UsageError(f"RankSaturated: least = {self.least} is not above 0; the paper has 0.01")
        _check_samples(self, self.samples)

    def _wanted(self, units: int) -> int:
        return self.samples * units

    def _value(self, moment: Moment, layer: str, activations: Tensor) -> float | None:
        del moment, layer
        # A rank needs all units of a sample, so samples from before the birth of one are left out.
        known = activations[activations.isfinite().all(1)]
        units = known.shape[1]
        if len(known) < self._wanted(units):
            return None
        # Divided by the root of the samples, singular values do not grow with their number.
        singular = torch.linalg.svdvals(known.float()) / len(known) ** 0.5
        excess = self._excess(int((singular > self.least).sum()), units)
        return float(excess) if excess >= 1 else None

    def _excess(self, rank: int, units: int) -> int:
        """Return by how many units a rank exceeds the share; 1e-9 takes rounding errors off."""
        return rank - floor(self.share * units + 1e-9)


def excess(moment: Moment, layer: str) -> int:
    """Return how many units `RankSaturated`, which has just fired, found in excess in a layer: an amount for `Grow`."""
    firing = moment.firing
    return int(firing.layers[layer]) if firing is not None and firing.layers is not None else 0


@dataclass
class _OfIdle(_Watching):
    """Judges the share of a layer's units that are dormant. Frozen units do not count, because they cannot be reset."""

    share: float = 0.1
    threshold: float | None = None
    by: Literal["activation", "firing"] = "activation"
    samples: int = 512

    def __post_init__(self) -> None:
        super().__post_init__()
        name = type(self).__name__
        if self.by not in _DORMANT:
            raise UsageError(f"{name}: by = {self.by!r}; it is {' or '.join(map(repr, _DORMANT))}")
        if not 0 < self.share < 1:
            raise UsageError(f"{name}: share = {self.share} is not in (0, 1); the default is 0.1")
        if self.threshold is not None and self.threshold < 0:
            raise UsageError(f"{name}: threshold = {self.threshold}; the least is 0")
        _check_samples(self, self.samples)

    def check(self, structure: Structure, layers: tuple[str, ...]) -> None:
        if self.by == "firing":
            FiringAge().check(structure, layers)

    def _wanted(self, units: int) -> int:
        del units
        return self.samples

    def _value(self, moment: Moment, layer: str, activations: Tensor) -> float | None:
        idle = self._idle(activations)
        idle[list(frozen_units(moment.structure, layer))] = False
        share = float(idle.float().mean())
        return share if self._is_due(share) else None

    def _idle(self, activations: Tensor) -> Tensor:
        """Return which units are dormant: bool, of shape (units,). A unit younger than the samples is not."""
        threshold = _DORMANT[self.by] if self.threshold is None else self.threshold
        if self.by == "firing":
            # NaN, from before a unit's birth, is not 0, so that it counts as active.
            return (activations != 0).float().mean(0) < threshold
        mean = activations.abs().mean(0)
        # Every comparison with NaN is false, so that a young unit is not dormant; nor is it part of the layer's mean.
        return mean <= threshold * mean.nanmean()

    @abstractmethod
    def _is_due(self, share: float) -> bool:
        """Tell whether the rule acts at this share of dormant units."""


@dataclass
class Dormant(_OfIdle):
    """Fires when more than a share of a layer's units are dormant.

    There are two definitions, which give different numbers:

    - by `activation`, as in ReDo (Sokar et al. 2023): `mean |a| <= threshold x (mean of mean |a| over the layer)`;
    - by `firing`, as in Dohare et al. (2024): the share of samples on which the unit is active (not exactly 0) <
      threshold. It is refused for units that are always active, such as those of tanh.

    Frozen units do not count as dormant. This, and the share, are our choice.

    Args:
        share: the share of the layer's units, in (0, 1).
        threshold: the threshold of the definition, at least 0; by default .025 for `activation` and .01 for `firing`.
        by: the definition.
        samples: how many of the last samples are looked at, at least 1.
        steps: the length of a period, see `Periodic`.

    The value of a firing is the share of dormant units, for each layer.

    Raises:
        UsageError: if an argument is out of range; in `check`, if the units of a layer are never exactly 0.
    """

    def _is_due(self, share: float) -> bool:
        return share > self.share


@dataclass
class FewFree(_OfIdle):
    """Fires when less than a share of a layer's units are free, which means neither frozen nor in use.

    A unit is in use unless it is dormant, see `Dormant`. That is our choice: publications that count free units count
    those that no task has claimed yet.

    Args:
        share: the share of the layer's units, in (0, 1).
        threshold: the threshold of dormancy, see `Dormant`.
        by: the definition of dormancy, see `Dormant`.
        samples: how many of the last samples are looked at, at least 1.
        steps: the length of a period, see `Periodic`.

    The value of a firing is the share of free units, for each layer.

    Raises:
        UsageError: if an argument is out of range; in `check`, if the units of a layer are never exactly 0.
    """

    def _is_due(self, share: float) -> bool:
        return share < self.share


_DORMANT = {"activation": 0.025, "firing": 0.01}
"""The definitions of dormancy, with their thresholds."""


def _samples(rows: deque[Tensor]) -> int:
    """Return how many samples there are in several batches."""
    return sum(map(len, rows))


def _check_samples(trigger: _Watching, samples: int) -> None:
    if samples < 1:
        raise UsageError(f"{type(trigger).__name__}: samples = {samples}; the least is 1")
