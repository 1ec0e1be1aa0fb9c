"""Operators that hold units as they are while the rest of the network learns, and let them go."""

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
    the rest of the fan-in. An operator on the units that a frozen unit reads may still change those synapses. A frozen
    unit cannot be removed, reinitialised or merged.

    >>> from torch import nn
    >>> network = nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 2))
    >>> structure = Structure(network, torch.zeros(1, 3))
    >>> freeze_units(structure, "0", [1, 4])
    Change(operator='freeze units', layer='0', units=(1, 4), added=(), dropped=())
    >>> frozen_units(structure, "0")
    (1, 4)

    Args:
        structure: the structure whose network is changed.
        layer: the layer's name in `structure.layers`.
        units: numbers from 0 to the layer's units - 1; all of them by default.

    Returns:
        The change; nothing moves.

    Raises:
        StructureError: if the layer is unknown or fixed, its weights are tied, or a unit is out of range.
    """
    return _set_frozen(structure, layer, units, True)


def unfreeze_units(structure: Structure, layer: str, units: Iterable[int] | None = None) -> Change:
    """Let frozen units learn again; units that are not frozen stay as they are.

    >>> from torch import nn
    >>> network = nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 2))
    >>> structure = Structure(network, torch.zeros(1, 3))
    >>> _ = freeze_units(structure, "0")
    >>> unfreeze_units(structure, "0", [0, 2, 3]).units
    (0, 2, 3)
    >>> frozen_units(structure, "0")
    (1, 4)

    Args:
        structure: the structure whose network is changed.
        layer: the layer's name in `structure.layers`.
        units: numbers from 0 to the layer's units - 1; all of them by default.

    Returns:
        The change; nothing moves.

    Raises:
        StructureError: if the layer is unknown or fixed, its weights are tied, or a unit is out of range.
    """
    return _set_frozen(structure, layer, units, False)


def frozen_units(structure: Structure, layer: str) -> tuple[int, ...]:
    """Return the numbers of a layer's frozen units, in ascending order.

    Raises:
        StructureError: if the layer is unknown or fixed.
    """
    return frozen_numbers(structure.network, structure.layer(layer))


def _set_frozen(structure: Structure, layer: str, units: Iterable[int] | None, value: bool) -> Change:
    changed = structure.layer(layer)
    network = structure.network
    chosen = chosen_units(network, changed, range(changed.units) if units is None else units, may_be_frozen=True)
    if changed.slots_of(Role.TIED):
        raise StructureError(f"{layer!r}: its weights are tied, so that freezing its fan-in would freeze its readers")
    for slot in changed.slots_of(Role.FAN_IN, Role.OWN):
        tensor = tensor_of(network, slot.tensor)
        if not tensor.is_floating_point():  # counters and masks are not learnt
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
