"""The base class of operators, the outcome that they return, and how new units start."""

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
"""How units start: an initialiser, or a class of initialisers that takes a closure of the batch, such as `GradMax`."""

SILENT = ZeroFanOut()
"""How new units start by default: with outgoing weights of zero, so that the network's function stays the same."""

NOTHING = torch.empty(0, dtype=torch.int64)
"""The numbers of no units: what an operator gets that takes no selection."""


@dataclass(frozen=True)
class Outcome:
    """Tells what an operator did to one layer or weight.

    Attributes:
        change: how the network was changed; None where nothing was changed.
        count: how many units, synapses or layers were changed.
        note: what else a reader has to know, for example that the change was clipped; None if nothing.
    """

    change: Change | None
    count: int
    note: str | None = None


class Operator(ABC):
    """Changes a layer, or the synapses of a weight, where a rule's trigger has fired.

    Attributes:
        selects: `units` or `synapses` if a selection has to choose them; None if the operator takes no selection.
        score: a score that the operator itself reads, if any; the rule lets it observe training and follow changes.
    """

    selects: ClassVar[str | None] = "units"
    score: UnitScore | SynapseScore | None = None

    @property
    def name(self) -> str:
        """Return the name that records show, such as `prune-synapses`."""
        return shown(self)

    def check(self, structure: Structure, names: tuple[str, ...]) -> None:
        """Refuse, before any training, a network on which the operator cannot work: it is tried on a copy.

        The network stays as it is, and so do the random numbers that training will draw.

        Args:
            structure: the structure of the network.
            names: names of layers, or of weights for an operator on synapses.

        Raises:
            UsageError: if it cannot work; the message gives the reason.
        """
        trial = Structure(deepcopy(structure.network), *structure.inputs)
        with untouched_generators():
            for name in names:
                try:
                    self.attempt(trial, name)
                except StructureError as error:
                    raise UsageError(f"{type(self).__name__} does not work on {name!r}: {error}") from None

    def attempt(self, structure: Structure, name: str) -> None:
        """Try the operator on a copy of the network, as far as that needs no batch; `check` calls this.

        Args:
            structure: the structure of the copy.
            name: the name of the layer, or of the weight for an operator on synapses.

        Raises:
            StructureError: if it cannot be done.
        """

    def candidates(self, moment: Moment, name: str) -> Tensor:
        """Return what a selection may choose: what is not frozen, and of synapses what is not pruned.

        Returns:
            A mask, bool, of shape (units,), or of the weight's shape for synapses.
        """
        return live_synapses(moment, name) if self.selects == "synapses" else free_units(moment, name)

    def progress(self, moment: Moment, name: str) -> tuple[int, int] | None:
        """Return how many units or synapses are done already, and out of how many, which a `target` of `Lowest` reads.

        None says that this operator leaves nothing that could be counted, so that it has no target.
        """
        del moment, name
        return None

    @abstractmethod
    def apply(self, moment: Moment, name: str, chosen: Tensor) -> Outcome | None:
        """Change one layer, or the synapses of one weight.

        Args:
            moment: the present moment.
            name: the name of the layer, or of the weight for an operator on synapses.
            chosen: the numbers of the chosen units (int64, lowest score first), or a mask of the chosen synapses (bool,
                of the weight's shape); at least one is chosen. It is empty if the operator takes no selection.

        Returns:
            What was done; None if there was nothing to do, which leaves no event.
        """


@dataclass
class Mark(Operator):
    """Changes nothing, but leaves an event, so that one can see when a trigger fires."""

    selects: ClassVar[str | None] = None

    def apply(self, moment: Moment, name: str, chosen: Tensor) -> Outcome | None:
        del moment, name, chosen
        return Outcome(None, 0)


def check_new(operator: Operator, new: object) -> None:
    """Refuse what cannot say how units start.

    Args:
        operator: the operator that takes it, for the message.
        new: what was given.

    Raises:
        UsageError: if it is no initialiser and cannot make one; the message gives an example.
    """
    if not isinstance(new, Initialiser) and not callable(new):
        raise UsageError(f"{type(operator).__name__}: new = {new!r} is no initialiser, such as ZeroFanOut()")
    if isinstance(new, type) and issubclass(new, Initialiser) and "closure" not in signature(new).parameters:
        raise UsageError(f"{type(operator).__name__}: new = {new.__name__} takes no batch: make one, {new.__name__}()")


def start_of(new: New, moment: Moment) -> Initialiser:
    """Return the initialiser; if it is a class that takes a closure, make one with the present batch.

    Raises:
        UsageError: if it needs a batch and there has been none yet.
    """
    return new if isinstance(new, Initialiser) else new(moment.closure)
