"""Operators on units that a selection chose: remove, reset, split, freeze; and unfreeze, which takes all units."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from lifelong.errors import UsageError
from lifelong.plasticity.candidates import free_units
from lifelong.plasticity.moment import Moment
from lifelong.plasticity.operators.base import SILENT, New, Operator, Outcome, check_new, start_of
from lifelong.structure import (
    Initialiser,
    Structure,
    freeze_units,
    frozen_units,
    reinitialise_units,
    remove_units,
    split_units,
    unfreeze_units,
)


@dataclass
class Remove(Operator):
    """Removes units. A layer keeps at least one: of all its units, the one with the highest score."""

    def attempt(self, structure: Structure, name: str) -> None:
        if structure.layer(name).units > 1:
            remove_units(structure, name, [0])

    def progress(self, moment: Moment, name: str) -> tuple[int, int]:
        first = moment.memory.initial[name]
        return first - moment.layer(name).units, first

    def apply(self, moment: Moment, name: str, chosen: Tensor) -> Outcome | None:
        units, note = chosen.tolist(), None
        if len(units) == moment.layer(name).units:
            note = f"clipped from {len(units)}: the layer's last unit stays"
            units = units[:-1]  # the lowest scores come first
        if not units:
            return Outcome(None, 0, note)
        return Outcome(remove_units(moment.structure, name, units), len(units), note)


@dataclass
class Reset(Operator):
    """Lets units start again.

    Args:
        new: how they start; by default their fan-in is drawn anew and their fan-out is zero, as in continual
            backpropagation.

    Raises:
        UsageError: if `new` is no initialiser.
    """

    new: New = SILENT

    def __post_init__(self) -> None:
        check_new(self, self.new)

    def attempt(self, structure: Structure, name: str) -> None:
        if isinstance(self.new, Initialiser):
            reinitialise_units(structure, name, [0], self.new)

    def apply(self, moment: Moment, name: str, chosen: Tensor) -> Outcome | None:
        change = reinitialise_units(moment.structure, name, chosen.tolist(), start_of(self.new, moment))
        return Outcome(change, len(chosen))


@dataclass
class Split(Operator):
    """Makes two units of each one; each of the two gets half of its fan-out.

    Args:
        noise: the noise that is added to the fan-in of the new unit, in standard deviations of the fan-in; at least 0.
        frozen: whether frozen units may be split too; their own fan-in stays as it is.

    Raises:
        UsageError: if the noise is negative.
    """

    noise: float = 0.01
    frozen: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.noise < float("inf"):
            raise UsageError(f"Split: noise = {self.noise}; the least is 0")

    def attempt(self, structure: Structure, name: str) -> None:
        split_units(structure, name, [0], self.noise)

    def candidates(self, moment: Moment, name: str) -> Tensor:
        free = free_units(moment, name)
        return torch.ones_like(free) if self.frozen else free

    def apply(self, moment: Moment, name: str, chosen: Tensor) -> Outcome | None:
        return Outcome(split_units(moment.structure, name, chosen.tolist(), self.noise), len(chosen))


@dataclass
class Freeze(Operator):
    """Freezes units: training and other rules leave them as they are, until `Unfreeze`."""

    def attempt(self, structure: Structure, name: str) -> None:
        freeze_units(structure, name)

    def progress(self, moment: Moment, name: str) -> tuple[int, int]:
        free = free_units(moment, name)
        return int((~free).sum()), len(free)

    def apply(self, moment: Moment, name: str, chosen: Tensor) -> Outcome | None:
        return Outcome(freeze_units(moment.structure, name, chosen.tolist()), len(chosen))


@dataclass
class Unfreeze(Operator):
    """Lets all frozen units of the rule's layers learn again."""

    selects: ClassVar[str | None] = None

    def apply(self, moment: Moment, name: str, chosen: Tensor) -> Outcome | None:
        del chosen
        held = frozen_units(moment.structure, name)
        return Outcome(unfreeze_units(moment.structure, name, held), len(held)) if held else None
