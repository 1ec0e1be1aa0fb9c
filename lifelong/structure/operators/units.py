"""Operators on units: create, remove, reinitialise, split and merge them.

Neuron creation and removal are two of the four operators of Maile et al. (2022, TMLR, "Structural Learning in
Artificial Neural Networks: A Neural Operator Perspective"). The others here are made of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import torch
from torch import Generator, Tensor, nn

from lifelong.structure.checks import whole
from lifelong.structure.errors import StructureError
from lifelong.structure.holding.change import Change, StructureOperator, carry_tensor
from lifelong.structure.holding.marks import alive, carried_frozen, frozen, set_alive, tensor_of
from lifelong.structure.holding.optimizers import check_optimizer
from lifelong.structure.operators.choosing import chosen_units
from lifelong.structure.operators.placing import creation_maps, removal_maps, renewal_maps
from lifelong.structure.reading.layer import Layer, Role, Slot
from lifelong.structure.starting.initialisers import Copy, Growth, Initialiser, ZeroFanOut, check_initialiser
from lifelong.structure.structure import Structure

_DEFAULT = ZeroFanOut()


def create_units(structure: Structure, layer: str, count: int = 1, new: Initialiser = _DEFAULT) -> Change:
    """Add units to a layer, behind those that it has.

    >>> network = nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 2))
    >>> x = torch.randn(4, 3)
    >>> before = network(x)
    >>> create_units(Structure(network, x), "0", 2)
    Change(operator='create units', layer='0', units=(5, 6), added=(), dropped=())
    >>> network[0].weight.shape, network[2].weight.shape
    (torch.Size([7, 3]), torch.Size([2, 7]))
    >>> torch.allclose(network(x), before)
    True

    Args:
        structure: the structure whose network is changed.
        layer: the layer's name in `structure.layers`.
        count: how many units, at least 1.
        new: how they start. The default preserves the network's function, unless the layer's units are normalised
            together (`Layer.mixed`).

    Returns:
        The change; its `units` are the new ones' numbers.

    Raises:
        StructureError: if the layer is unknown or fixed, the units cannot start in that way, or all of the layer's
            weights are excluded from training (`requires_grad`), so that new units could never learn.
    """
    changed = structure.layer(layer)
    count = whole(count, f"{layer!r}: the count of new units")
    check_initialiser(new)
    _refuse_untrainable(structure.network, changed)
    network = structure.network
    maps, places = creation_maps(network, changed, count)
    sizes = {name: _size(tensor_of(network, name), maps[name]) for name in maps}
    start = new.start(Growth(structure, changed, count, sizes, places, maps))
    tensors = {name: carry_tensor(tensor_of(network, name).detach(), maps[name]) for name in maps}
    marks = {name: carried_frozen(network, name, maps[name]) for name in maps}
    # In the order of the slots: where fan-in and fan-out cross (a layer that reads itself), fan-out is written last.
    for slot, positions in places.items():
        tensor, mark = tensors[slot.tensor], marks[slot.tensor]
        if start.scale is not None and slot.role is Role.FAN_OUT:
            _scale(slot, tensor, start.scale, maps[slot.tensor][slot.dim], mark)
        _write(slot, tensor, positions, start.values[slot], mark)
    units = tuple(range(changed.units, changed.units + count))
    return structure.commit(Change(StructureOperator.CREATE_UNITS, layer, units, maps), tensors)


def remove_units(structure: Structure, layer: str, units: Iterable[int]) -> Change:
    """Take units out of a layer, with the weights by which they read and are read: the tensors become smaller.

    >>> network = nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 2))
    >>> remove_units(Structure(network, torch.zeros(1, 3)), "0", [1, 4]).units
    (1, 4)
    >>> network[0].weight.shape, network[2].weight.shape
    (torch.Size([3, 3]), torch.Size([2, 3]))

    Args:
        structure: the structure whose network is changed.
        layer: the layer's name in `structure.layers`.
        units: numbers from 0 to the layer's units - 1; at least one unit has to stay.

    Returns:
        The change; its `units` have their old numbers.

    Raises:
        StructureError: if the layer is unknown or fixed, a unit is out of range or frozen, or none would be left.
    """
    changed = structure.layer(layer)
    gone = chosen_units(structure.network, changed, units)
    if len(gone) == changed.units:
        raise StructureError(f"{layer!r}: its last unit cannot be removed")
    maps = removal_maps(structure.network, changed, gone)
    tensors = {name: carry_tensor(tensor_of(structure.network, name).detach(), maps[name]) for name in maps}
    return structure.commit(Change(StructureOperator.REMOVE_UNITS, layer, gone, maps), tensors)


def reinitialise_units(structure: Structure, layer: str, units: Iterable[int], new: Initialiser = _DEFAULT) -> Change:
    """Let units start again, as if they were created now: their weights, statistics and optimizer state.

    By default their fan-in is drawn anew and their fan-out is zero, as in continual backpropagation (Dohare et al.
    2024, Nature 632) and ReDo (Sokar et al. 2023, arXiv:2302.12902). Their pruned synapses stay pruned. Tensors keep
    their sizes and identity.

    >>> network = nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 2))
    >>> change = reinitialise_units(Structure(network, torch.zeros(1, 3)), "0", [2])
    >>> network[2].weight.count_nonzero(0).tolist()
    [2, 2, 0, 2, 2]
    >>> change.restarted
    (2,)

    Args:
        structure: the structure whose network is changed.
        layer: the layer's name in `structure.layers`.
        units: numbers from 0 to the layer's units - 1.
        new: how they start; an initialiser that copies existing units is refused.

    Returns:
        The change.

    Raises:
        StructureError: if the layer is unknown or fixed, a unit is out of range or frozen, or the units cannot start in
            that way.
    """
    changed = structure.layer(layer)
    network = structure.network
    again = chosen_units(network, changed, units)
    if structure.optimizer is not None:
        check_optimizer(structure.optimizer)
    check_initialiser(new)
    sizes = {slot.tensor: tuple(tensor_of(network, slot.tensor).shape) for slot in changed.slots}
    start = new.start(Growth(structure, changed, len(again), sizes, renewed=again))
    for slot in changed.slots:
        tensor = tensor_of(network, slot.tensor)
        positions = slot.positions[list(again)]
        values, mask = start.values[slot].to(tensor), alive(network, slot.tensor)
        if mask is not None:  # pruned synapses stay at zero
            values = values.masked_fill(~mask.index_select(slot.dim, positions.flatten().to(mask.device)), 0)
        with torch.no_grad():
            _write(slot, tensor, positions, values, frozen(network, slot.tensor))
    maps = renewal_maps(network, changed, again)
    return structure.settle(Change(StructureOperator.REINITIALISE_UNITS, layer, again, maps))


def split_units(
    structure: Structure, layer: str, units: Iterable[int], noise: float = 0.01, generator: Generator | None = None
) -> Change:
    """Split each of these units in two that share its fan-out (Liu et al. 2019, arXiv:1910.02366).

    We perturb the new half at random, where the paper looks for the best direction. Halves that are the same would stay
    the same in all of training.

    >>> network = nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 2))
    >>> split_units(Structure(network, torch.zeros(1, 3)), "0", [0, 3]).units
    (5, 6)
    >>> network[2].weight[:, [5, 6]].equal(network[2].weight[:, [0, 3]])
    True

    Args:
        structure: the structure whose network is changed.
        layer: the layer's name in `structure.layers`.
        units: numbers from 0 to the layer's units - 1.
        noise: the standard deviation of what is added to each new half's fan-in, relative to that of its weights, at
            least 0. With 0 the network's function stays as it is.
        generator: draws the perturbation, on the CPU; torch's global one by default.

    Returns:
        The change; its `units` are the new halves' numbers.

    Raises:
        StructureError: if `create_units` raises it, a unit is out of range, or the layer's weights are tied.
    """
    halved = structure.layer(layer)
    # A frozen unit may be split: its fan-in stays as it is, and only what reads it changes.
    chosen = chosen_units(structure.network, halved, units, may_be_frozen=True)
    change = create_units(structure, layer, len(chosen), Copy(chosen, noise=noise, generator=generator))
    return replace(change, operator=StructureOperator.SPLIT_UNITS)


def merge_units(structure: Structure, layer: str, groups: Iterable[Sequence[int]]) -> Change:
    """Make one unit of each group, in the first one's place: the mean of their fan-in, the sum of their fan-out.

    A synapse of the merged unit is pruned if it is pruned in all of the group.

    Units that do the same can be merged without any loss (Wagarachchi & Karunananda 2017 merge near duplicates; the
    mean and the sum are our choice).

    >>> network = nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 2))
    >>> merge_units(Structure(network, torch.zeros(1, 3)), "0", [[0, 3], [1, 4]]).units
    (3, 4)
    >>> network[0].out_features
    3

    Args:
        structure: the structure whose network is changed.
        layer: the layer's name in `structure.layers`.
        groups: each has two units or more, and no unit is in two groups.

    Returns:
        The change; its `units` are the old numbers of those that are gone.

    Raises:
        StructureError: if the layer is unknown or fixed, its weights are tied, a group has less than two units, or a
            unit is out of range, frozen, or in two groups.
    """
    changed = structure.layer(layer)
    network = structure.network
    merged = [chosen_units(network, changed, group) for group in _groups(groups, layer)]
    if not merged or any(len(group) < 2 for group in merged):
        raise StructureError(f"{layer!r}: a group to merge has at least two units")
    chosen_units(network, changed, [unit for group in merged for unit in group])  # no unit is in two groups
    if changed.slots_of(Role.TIED):
        raise StructureError(f"{layer!r}: its weights are tied, so that fan-in and fan-out cannot be merged apart")
    gone = tuple(sorted(unit for group in merged for unit in group[1:]))
    maps = removal_maps(network, changed, gone)
    # Each group's first unit is given the merged values, then the others are removed.
    summed = {name: tensor_of(network, name).detach().clone() for name in maps}
    for slot in changed.slots:
        _merge(slot, summed[slot.tensor], merged)
    tensors = {name: carry_tensor(tensor, maps[name]) for name, tensor in summed.items()}
    masks = _merged_masks(network, changed, merged)
    alive_after = {name: carry_tensor(mask, maps[name]) for name, mask in masks.items()}
    change = structure.commit(Change(StructureOperator.MERGE_UNITS, layer, gone, maps), tensors)
    for name, mask in alive_after.items():
        set_alive(network, name, mask)
    structure.refresh()
    return change


def _groups(groups: Iterable[Sequence[int]], layer: str) -> list[Sequence[int]]:
    listed = list(groups) if isinstance(groups, Iterable) else []
    if not listed or not all(isinstance(group, Iterable) for group in listed):
        raise StructureError(f"{layer!r}: groups are given as lists of units, such as [[0, 3]], not as {groups!r}")
    return listed


def _refuse_untrainable(network: nn.Module, layer: Layer) -> None:
    weights = [tensor_of(network, slot.tensor) for slot in layer.slots_of(Role.FAN_IN, Role.TIED)]
    if not any(weight.requires_grad for weight in weights):
        raise StructureError(f"{layer.name!r} is frozen (requires_grad is False): new units there could never learn")


def _size(tensor: Tensor, maps: dict[int, Tensor]) -> tuple[int, ...]:
    return tuple(len(maps[dim]) if dim in maps else size for dim, size in enumerate(tensor.shape))


def _scale(slot: Slot, tensor: Tensor, scale: Tensor, index: Tensor, mark: Tensor | None) -> None:
    """Scale the existing units' fan-out, except where it is the fan-in of frozen units."""
    # One factor for each old position along the dimension, then carried to the new positions; new ones get 1.
    factor = torch.ones(int(index.max()) + 1, dtype=scale.dtype)
    factor[slot.positions] = scale[:, None].expand(-1, slot.width)
    shape = [1] * tensor.dim()
    shape[slot.dim] = len(index)
    scaled = tensor * carry_tensor(factor, {0: index}, 1.0).view(shape).to(tensor)
    tensor.copy_(scaled if mark is None else torch.where(mark, tensor, scaled))


def _write(slot: Slot, tensor: Tensor, positions: Tensor, values: Tensor, mark: Tensor | None) -> None:
    """Put new units' values in their places; frozen units (`mark`) read zeros from them."""
    values = values.to(tensor)
    if mark is not None and slot.role is Role.FAN_OUT:
        values = values.masked_fill(mark, 0)
    tensor.index_copy_(slot.dim, positions.flatten().to(tensor.device), values)


def _merge(slot: Slot, tensor: Tensor, groups: list[tuple[int, ...]]) -> None:
    if not tensor.is_floating_point():  # a mask or a counter: the first unit's stays
        return
    for group in groups:
        parts = [tensor.index_select(slot.dim, slot.positions[unit].to(tensor.device)) for unit in group]
        total = torch.stack(parts).sum(0)
        # Readers sum over units, so that fan-outs add up; everything else is averaged.
        merged = total if slot.role is Role.FAN_OUT else total / len(group)
        tensor.index_copy_(slot.dim, slot.positions[group[0]].to(tensor.device), merged)


def _merged_masks(network: nn.Module, layer: Layer, groups: list[tuple[int, ...]]) -> dict[str, Tensor]:
    """Return the masks of a layer's weights in which a merged unit has every synapse that one of its parts has."""
    merged = {slot.tensor: mask.clone() for slot in layer.slots if (mask := alive(network, slot.tensor)) is not None}
    for slot in layer.slots:
        if (mask := merged.get(slot.tensor)) is not None:
            for group in groups:
                parts = [mask.index_select(slot.dim, slot.positions[unit].to(mask.device)) for unit in group]
                mask.index_copy_(slot.dim, slot.positions[group[0]].to(mask.device), torch.stack(parts).any(0))
    return merged
