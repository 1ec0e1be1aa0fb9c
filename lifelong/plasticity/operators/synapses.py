"""Operators on single synapses: prune them, create pruned ones again, draw them anew."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from lifelong.plasticity.candidates import pruned_synapses
from lifelong.plasticity.moment import Moment
from lifelong.plasticity.operators.base import Operator, Outcome
from lifelong.structure import (
    Change,
    Structure,
    StructureError,
    StructureOperator,
    create_synapses,
    prune_synapses,
)
from lifelong.structure.holding.marks import alive, owner
from lifelong.structure.starting.drawing import draw


class _OfSynapses(Operator):
    """Changes the synapses of a weight that a selection has chosen."""

    selects: ClassVar[str | None] = "synapses"


@dataclass
class PruneSynapses(_OfSynapses):
    """Prunes synapses: they become zero, and stay zero until they are created again.

    A unit may lose all of its synapses; its activation is then constant. A weight keeps at least one synapse, the
    largest of the last ones.
    """

    def progress(self, moment: Moment, name: str) -> tuple[int, int]:
        return _pruned(moment, name)

    def apply(self, moment: Moment, name: str, chosen: Tensor) -> Outcome | None:
        count, note = int(chosen.sum()), None
        pruned, synapses = _pruned(moment, name)
        if pruned + count == synapses:
            note = f"clipped from {count}: the weight's last synapse stays"
            count -= 1
            # -1 is below every magnitude, so that the largest is one that was chosen.
            size = moment.structure.network.get_parameter(name).detach().abs().masked_fill(~chosen, -1)
            chosen = chosen.flatten().index_fill(0, size.argmax(), False).view_as(chosen)
        if not count:
            return Outcome(None, 0, note)
        return Outcome(prune_synapses(moment.structure, name, chosen), count, note)


@dataclass
class CreateSynapses(_OfSynapses):
    """Creates pruned synapses again, with the weight zero, so that the network's function stays the same at first.

    The selection chooses among pruned synapses. For example, RigL takes those with the largest `|gradient|`, which
    pruned synapses have too (Evci et al. 2020, arXiv:1911.11134), and SET draws them at random (Mocanu et al. 2018). A
    `target` is the share of synapses that are alive.
    """

    def candidates(self, moment: Moment, name: str) -> Tensor:
        return pruned_synapses(moment, name)

    def progress(self, moment: Moment, name: str) -> tuple[int, int]:
        pruned, synapses = _pruned(moment, name)
        return synapses - pruned, synapses

    def apply(self, moment: Moment, name: str, chosen: Tensor) -> Outcome | None:
        return Outcome(create_synapses(moment.structure, name, chosen), int(chosen.sum()))


@dataclass
class ResetSynapses(_OfSynapses):
    """Draws synapses anew as torch first drew the layer's weights, with optimizer state as at the beginning.

    Selective weight reinitialisation does so (2025, CoLLAs), and so do Zilly et al. (2021) with frozen connections.
    Adam keeps one count of steps for a whole weight, so this count stays.
    """

    def attempt(self, structure: Structure, name: str) -> None:
        # Whether it is known how the module draws its weights is all that can go wrong.
        _drawn(structure, name, 1)

    def apply(self, moment: Moment, name: str, chosen: Tensor) -> Outcome | None:
        structure, count = moment.structure, int(chosen.sum())
        parameter = structure.network.get_parameter(name)
        with torch.no_grad():
            parameter[chosen] = _drawn(structure, name, count)
        change = structure.settle(Change(StructureOperator.REINITIALISE_SYNAPSES, name, reset={name: chosen}))
        return Outcome(change, count)


def _pruned(moment: Moment, name: str) -> tuple[int, int]:
    """Return how many of a weight's synapses are pruned, and how many synapses it has."""
    mask = alive(moment.structure.network, name)
    synapses = moment.structure.network.get_parameter(name).numel()
    return (0 if mask is None else int((~mask).sum())), synapses


def _drawn(structure: Structure, name: str, count: int) -> Tensor:
    """Draw first values for synapses of a weight, of shape (count,).

    Raises:
        StructureError: if it is not known how the module draws its weights.
    """
    module, attribute = owner(structure.network, name)
    drawn = draw(module, attribute, (count,), structure.network.get_parameter(name).shape)
    if drawn is None:
        raise StructureError(f"how {type(module).__name__} first draws its weights is not known")
    return drawn
