"""What every operator of a rule has: what it may be used on, and what became of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from inspect import signature
from typing import ClassVar

import torch
from torch import Tensor

from lifelong.errors import UsageError
from lifelong.plasticity.candidates import free_units, live_synapses
from lifelong.plasticity.moment import Moment
from lifelong.plasticity.names import shown
from lifelong.plasticity.scores.base import SynapseScore, UnitScore
from lifelong.seeds import untouched_generators
from lifelong.structure import Change, Closure, Initialiser, Structure, StructureError, ZeroFanOut

New = Initialiser | Callable[[Closure], Initialiser]
"""How units start: an initialiser, or a class of them that takes a closure of the current batch, as `GradMax`."""

SILENT = ZeroFanOut()
"""How new units start by default: the network's function is preserved."""

NOTHING = torch.empty(0, dtype=torch.int64)


@dataclass(frozen=True)
class Outcome:
    """What became of one layer or weight.

    Attributes:
        change: of the network; None where nothing was changed.
        count: units, synapses or layers changed.
        note: what else has to be known, as that the change was clipped.
    """

    change: Change | None
    count: int
    note: str | None = None


class Operator(ABC):
    """What a rule does where its trigger fired.

    Attributes:
        selects: what it has to be told: which `units`, which `synapses`, or nothing.
        score: what it looks at itself, if anything; the rule lets it observe training and follow changes.
    """

    selects: ClassVar[str | None] = "units"
    score: UnitScore | SynapseScore | None = None

    @property
    def name(self) -> str:
        """As records show it, `prune-synapses`."""
        return shown(self)

    def check(self, structure: Structure, names: tuple[str, ...]) -> None:
        """Refuse, before any training, what cannot work on this network: it is tried on a copy.

        Args:
            structure: of the network, which stays as it is, as do the random numbers that training will draw.
            names: of the layers, or of the weights for an operator on synapses.

        Raises:
            UsageError: with the reason.
        """
        trial = Structure(deepcopy(structure.network), *structure.inputs)
        with untouched_generators():
            for name in names:
                try:
                    self.attempt(trial, name)
                except StructureError as error:
                    raise UsageError(f"{type(self).__name__} does not work on {name!r}: {error}") from None

    def attempt(self, structure: Structure, name: str) -> None:
        """Do as much of it to a copy of the network as can be done without a batch.

        Raises:
            StructureError: if it cannot be done.
        """

    def candidates(self, moment: Moment, name: str) -> Tensor:
        """Who may be chosen: those that are not protected (frozen), and of synapses those that are not pruned.

        Returns:
            Bool, of shape (units,) or of the weight's.
        """
        return live_synapses(moment, name) if self.selects == "synapses" else free_units(moment, name)

    def progress(self, moment: Moment, name: str) -> tuple[int, int] | None:
        """To how many it has been done, and out of how many; None where it leaves nothing that could be counted."""
        del moment, name
        return None

    @abstractmethod
    def apply(self, moment: Moment, name: str, chosen: Tensor) -> Outcome | None:
        """Change one layer (or weight); None if there is nothing to do.

        Args:
            moment: now.
            name: of the layer, or of the weight.
            chosen: numbers of units (int64), the first to go first; or which synapses (bool, of the weight's shape);
                never none of them. Empty for an operator that has to be told neither.
        """


@dataclass
class Mark(Operator):
    """Change nothing, and leave an event: what a trigger would do can be seen on its own."""

    selects: ClassVar[str | None] = None

    def apply(self, moment: Moment, name: str, chosen: Tensor) -> Outcome | None:
        del moment, name, chosen
        return Outcome(None, 0)


def check_new(operator: Operator, new: object) -> None:
    """Refuse what cannot say how units start.

    Raises:
        UsageError: with an example of what can.
    """
    if not isinstance(new, Initialiser) and not callable(new):
        raise UsageError(f"{type(operator).__name__}: new = {new!r} is no initialiser, such as ZeroFanOut()")
    if isinstance(new, type) and issubclass(new, Initialiser) and "closure" not in signature(new).parameters:
        raise UsageError(f"{type(operator).__name__}: new = {new.__name__} takes no batch: make one, {new.__name__}()")


def start_of(new: New, moment: Moment) -> Initialiser:
    """The initialiser, made with the current batch where it wants one."""
    return new if isinstance(new, Initialiser) else new(moment.closure)


__all__ = ["NOTHING", "SILENT", "Mark", "New", "Operator", "Outcome", "check_new", "start_of"]
