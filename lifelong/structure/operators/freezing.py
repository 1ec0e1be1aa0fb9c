"""Hold units as they are, while the rest of the network learns."""

from __future__ import annotations

from collections.abc import Iterable

import torch

from lifelong.structure.errors import StructureError
from lifelong.structure.holding.change import Change, StructureOperator
from lifelong.structure.holding.marks import frozen, owner, set_frozen, tensor_of
from lifelong.structure.holding.statistics import hold_statistics
from lifelong.structure.operators.choosing import chosen_units, frozen_numbers
from lifelong.structure.reading.layer import Role
from lifelong.structure.structure import Structure


def freeze_units(structure: Structure, layer: str, units: Iterable[int] | None = None) -> Change:
    """Hold units as they are: fan-in, biases, normalisation and running statistics stay bit for bit through training.

    What reads them may go on learning. Synapses from units that are created later start at zero, and are frozen with
    the rest of the fan-in; an operator on the units that they read may still change those synapses. A frozen unit can
    be neither removed, reinitialised nor merged.

    Args:
        structure: whose network is changed.
        layer: its name in `structure.layers`.
        units: numbers from 0 to the layer's units - 1; all of them by default.

    Raises:
        StructureError: if the layer is unknown or fixed, its weights are tied, or a unit is out of range.
    """
    return _set_frozen(structure, layer, units, True)


def unfreeze_units(structure: Structure, layer: str, units: Iterable[int] | None = None) -> Change:
    """Let frozen units learn again; units that are not frozen stay as they are.

    Raises:
        StructureError: as `freeze_units`.
    """
    return _set_frozen(structure, layer, units, False)


def frozen_units(structure: Structure, layer: str) -> tuple[int, ...]:
    """The numbers of a layer's frozen units.

    Raises:
        StructureError: if the layer is unknown or fixed.
    """
    return frozen_numbers(structure.network, structure.layer(layer))


def _set_frozen(structure: Structure, layer: str, units: Iterable[int] | None, value: bool) -> Change:
    found = structure.layer(layer)
    network = structure.network
    chosen = chosen_units(network, found, range(found.units) if units is None else units, may_be_frozen=True)
    if found.slots_of(Role.TIED):
        raise StructureError(f"{layer!r}: its weights are tied, so that freezing its fan-in would freeze its readers")
    for slot in found.slots_of(Role.FAN_IN, Role.OWN):
        tensor = tensor_of(network, slot.tensor)
        if not tensor.is_floating_point():
            continue
        shape = [tensor.shape[slot.dim], *[1] * (tensor.dim() - slot.dim - 1)]
        mark = frozen(network, slot.tensor)
        mark = torch.zeros(shape, dtype=torch.bool, device=tensor.device) if mark is None else mark.clone()
        mark.view(-1)[slot.positions[list(chosen)].flatten().to(tensor.device)] = value
        set_frozen(network, slot.tensor, mark)
        hold_statistics(owner(network, slot.tensor)[0])
    structure.refresh()
    operator = StructureOperator.FREEZE_UNITS if value else StructureOperator.UNFREEZE_UNITS
    return Change(operator, layer, chosen)
