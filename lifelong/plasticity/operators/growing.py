"""Neurogenesis: an operator that adds units to a layer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil
from numbers import Real
from typing import ClassVar

from torch import Tensor

from lifelong.errors import UsageError
from lifelong.plasticity.amounts import check_share
from lifelong.plasticity.moment import Moment
from lifelong.plasticity.operators.base import SILENT, New, Operator, Outcome, check_new, start_of
from lifelong.structure import Initialiser, Structure, create_units, freeze_units

Amount = int | float | Callable[[Moment, str], int]
"""How many units a layer gets: a count, a share of the units that it had at first, or a function that returns a count.

The function is called with the moment, whose `firing` tells what the trigger saw, and with the layer's name."""


@dataclass
class Grow(Operator):
    """Adds units to a layer.

    Args:
        amount: how many units at a time: a count of at least 1, a share in (0, 1] of the units that the layer had at
            first (rounded up), or a function of the moment and the layer's name that returns a count, which may be 0.
        new: how the new units start; by default the network's function stays the same.
        cap: the most units that a layer may have, as a multiple above 1 of those it had at first (rounded down). Growth
            that goes past it is clipped.
        freeze: whether the units that are there already are frozen, for good.

    Raises:
        UsageError: if the amount or the cap is out of range, or a single growth goes past the cap.

    >>> Grow(0.25, cap=2.0).name
    'grow'
    >>> Grow(1.5)
    Traceback (most recent call last):
    ...
    lifelong.errors.UsageError: Grow: amount = 1.5 is not in (0, 1]; the nearest is 1.0
    """

    amount: Amount = 0.1
    new: New = SILENT
    cap: float | None = None
    freeze: bool = False
    selects: ClassVar[str | None] = None

    def __post_init__(self) -> None:
        check_new(self, self.new)
        if not _is_amount(self.amount):
            raise UsageError(f"Grow: amount = {self.amount!r}; it is a count, a share such as 0.1, or a function")
        if isinstance(self.amount, int) and self.amount < 1:
            raise UsageError(f"Grow: amount = {self.amount}; the least is 1")
        if isinstance(self.amount, float):
            check_share("Grow", self.amount, "amount")
        if self.cap is not None and self.cap <= 1:
            raise UsageError(f"Grow: cap = {self.cap} times the units that a layer has at first leaves no room to grow")
        if self.cap is not None and isinstance(self.amount, float) and self.amount > self.cap - 1 + 1e-9:
            raise UsageError(
                f"Grow: amount = {self.amount} of the first units goes past the cap of {self.cap:g} times as many at "
                f"once; the nearest is {self.cap - 1:.4g}"
            )

    def check(self, structure: Structure, names: tuple[str, ...]) -> None:
        # A cap that leaves no layer room for one growth would make a rule that never acts.
        most = {name: self._most(structure.layers[name].units) for name in names}
        room = {name: count - structure.layers[name].units for name, count in most.items() if count is not None}
        least = self.amount if isinstance(self.amount, int) else 1
        if room and max(room.values()) < least:
            name = max(room, key=room.__getitem__)
            raise UsageError(
                f"Grow: a cap of {self.cap:g} times the first units leaves room for {room[name]} more in {name!r}, "
                f"which has {structure.layers[name].units}: never for {least}"
            )
        super().check(structure, names)

    def attempt(self, structure: Structure, name: str) -> None:
        if self.freeze:
            freeze_units(structure, name)
        # A class of initialisers needs a batch, and there is none before training: the default stands in for it.
        create_units(structure, name, 1, self.new if isinstance(self.new, Initialiser) else SILENT)

    def apply(self, moment: Moment, name: str, chosen: Tensor) -> Outcome | None:
        del chosen
        # Shares and caps are of the first size, so that growth is linear and ends, however often a trigger fires.
        first, units = moment.memory.initial[name], moment.layer(name).units
        asked, most = self._asked(moment, name, first), self._most(first)
        count = asked if most is None else min(asked, max(0, most - units))
        note = f"clipped from {asked} by the cap of {self.cap:g} x {first} units" if count < asked else None
        if count < 1:
            return Outcome(None, 0, note) if note else None
        if self.freeze:
            freeze_units(moment.structure, name)
        return Outcome(create_units(moment.structure, name, count, start_of(self.new, moment)), count, note)

    def _asked(self, moment: Moment, name: str, first: int) -> int:
        """Return how many units are wanted, for a layer that had `first` units at first."""
        # 1e-9 takes rounding errors off: 0.07 of 100 units, which computes to a little more than 7, is 7, not 8.
        if callable(self.amount):
            return self.amount(moment, name)
        return ceil(self.amount * first - 1e-9) if isinstance(self.amount, float) else self.amount

    def _most(self, first: int) -> int | None:
        """Return how many units a layer may have that had `first` units at first; None if there is no cap."""
        return None if self.cap is None else int(self.cap * first + 1e-9)


def _is_amount(given: object) -> bool:
    return callable(given) or (isinstance(given, Real) and not isinstance(given, bool))
