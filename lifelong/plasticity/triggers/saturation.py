"""Triggers that ask, layer by layer, what is made of its units: full rank, dormant units, units left to claim."""

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
    """Judges each layer by its units' activations on the last samples, once there are enough of them.

    What is known of the units follows every change; of new and restarted ones nothing is known until as many samples
    have been seen since. The value of a firing is there for each layer.
    """

    watches = True
    _seen: dict[str, deque[Tensor]] = field(default_factory=dict, init=False, repr=False)

    @abstractmethod
    def _wanted(self, units: int) -> int:
        """So many samples are looked at, of a layer with so many units."""

    @abstractmethod
    def _found(self, moment: Moment, layer: str, activations: Tensor) -> float | None:
        """What the rule acts on, if it does.

        Args:
            moment: now.
            layer: its name.
            activations: of shape (samples, units); NaN where a unit was not there yet.
        """

    def _note(self, moment: Moment) -> None:
        for layer in moment.layers:
            rows, new = self._seen.setdefault(layer, deque()), moment.activations(layer)
            rows.append(new)
            wanted = self._wanted(new.shape[1])
            while _samples(rows) - len(rows[0]) >= wanted:
                rows.popleft()

    def _judge(self, moment: Moment) -> Firing | None:
        layers = {}
        for layer in moment.layers:
            rows = self._seen.get(layer)
            if not rows or _samples(rows) < self._wanted(rows[-1].shape[1]):
                continue
            found = self._found(moment, layer, torch.cat(list(rows)))
            if found is not None:
                layers[layer] = found
        return Firing(self.name, layers=layers) if layers else None

    def carry(self, change: Change) -> None:
        self._seen = renamed_keys(self._seen, change)
        if change.layer in self._seen:
            rows = self._seen[change.layer]
            self._seen[change.layer] = deque(carry_units(seen.t(), change, torch.nan).t() for seen in rows)

    def forget(self) -> None:
        self._seen.clear()


@dataclass
class RankSaturated(_Watching):
    """When a layer's activations A, of shape (n, units), have nearly full rank: #(sigma(A) / sqrt(n) > least) exceeds a
    share of the units by one at least.

    NORTH* of Maile et al. (2022), with its authors' numbers, which adds as many units as whole ones are in excess:
    `Rule(when=RankSaturated(steps=100), what=Grow(excess))`. When it looks and on how many samples is our choice. It
    never fires for a layer of so few units that the share leaves no whole one: with .97 those below 34.

    Args:
        share: of the units, in (0, 1).
        least: the singular value, per square root of samples, from which a direction counts; above 0.
        samples: how many are looked at for each unit, at least 1.
        steps: see `Periodic`.

    The value of a firing is the whole units in excess, for each layer.

    Raises:
        UsageError: in `check`, if it can fire for none of the layers.
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

    def check(self, structure: Structure, layers: tuple[str, ...]) -> None:
        widest = max(structure.layer(layer).units for layer in layers)
        if self._excess(widest, widest) < 1:
            raise UsageError(
                f"RankSaturated: beyond a share of {self.share} there is no whole unit of {widest}, the most in any of "
                f"these layers; there is with a share of at most {floor(100 * (1 - 1 / widest)) / 100:g}"
            )

    def _wanted(self, units: int) -> int:
        return self.samples * units

    def _found(self, moment: Moment, layer: str, activations: Tensor) -> float | None:
        del moment, layer
        known = activations[activations.isfinite().all(1)]
        units = known.shape[1]
        if len(known) < self._wanted(units):
            return None
        singular = torch.linalg.svdvals(known.float()) / len(known) ** 0.5
        excess = self._excess(int((singular > self.least).sum()), units)
        return float(excess) if excess >= 1 else None

    def _excess(self, rank: int, units: int) -> int:
        return floor(rank - self.share * units + 1e-9)


def excess(moment: Moment, layer: str) -> int:
    """An amount for `Grow`: as many units as `RankSaturated`, which has just fired, said of the layer."""
    firing = moment.firing
    return int(firing.layers[layer]) if firing is not None and firing.layers is not None else 0


@dataclass
class _OfIdle(_Watching):
    """Judges the share of a layer's units that are dormant and not protected; protected ones cannot be reset."""

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

    def _found(self, moment: Moment, layer: str, activations: Tensor) -> float | None:
        idle = self._idle(activations)
        idle[list(frozen_units(moment.structure, layer))] = False
        share = float(idle.float().mean())
        return share if self._is_due(share) else None

    def _idle(self, activations: Tensor) -> Tensor:
        """Of shape (units,); units that have been there for too short a time are not."""
        threshold = _DORMANT[self.by] if self.threshold is None else self.threshold
        if self.by == "firing":
            return (activations != 0).float().mean(0) < threshold
        mean = activations.abs().mean(0)
        return mean <= threshold * mean.nanmean()

    @abstractmethod
    def _is_due(self, share: float) -> bool:
        """Whether the rule acts."""


@dataclass
class Dormant(_OfIdle):
    """When more than a share of a layer's units are dormant. Two definitions, which give different numbers:

    - by `activation`, as ReDo (Sokar et al. 2023): mean |a|, relative to the mean of its layer, <= threshold;
    - by `firing`, as Dohare et al. (2024): active (not exactly 0) on less than a share of the samples. Refused for
      units that are always active, as those of tanh.

    Units that are protected (frozen on purpose) do not count as dormant, our choice, as is the share.

    Args:
        share: of the layer's units, in (0, 1).
        threshold: at least 0; by default .025 for `activation` and .01 for `firing`.
        by: the definition.
        samples: so many of the last ones are looked at, at least 1.
        steps: see `Periodic`.

    The value of a firing is the share of dormant units, for each layer.
    """

    def _is_due(self, share: float) -> bool:
        return share > self.share


@dataclass
class FewFree(_OfIdle):
    """When less than a share of a layer's units are free: neither protected (frozen on purpose) nor in use.

    A unit is in use unless it is dormant by the definition that is chosen, see `Dormant`. That is our choice: the
    publications that count free units count those which no task has claimed yet.

    Args:
        share: of the layer's units, in (0, 1).
        threshold: see `Dormant`.
        by: see `Dormant`.
        samples: so many of the last ones are looked at, at least 1.
        steps: see `Periodic`.

    The value of a firing is the share of free units, for each layer.
    """

    def _is_due(self, share: float) -> bool:
        return share < self.share


_DORMANT = {"activation": 0.025, "firing": 0.01}
"""The definitions, with their thresholds."""


def _samples(rows: deque[Tensor]) -> int:
    return sum(map(len, rows))


def _check_samples(trigger: _Watching, samples: int) -> None:
    if samples < 1:
        raise UsageError(f"{type(trigger).__name__}: samples = {samples}; the least is 1")


__all__ = ["Dormant", "FewFree", "RankSaturated", "excess"]
