"""Records what an operator did to a network, and carries any tensor that is shaped like a parameter along.

An index map is the whole idea. For each new position along a dimension it names the old position, or `NEW`. Where a
layer of three units loses unit 1 and then gets one more, its maps are `[0, 2]` and `[0, 1, NEW]`. The same maps move
the weights, the optimizer's moments, a mask, or importances that somebody else keeps for each weight.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import torch
from torch import Tensor

from lifelong.structure.errors import StructureError, unknown

NEW = -1
"""In an index map: nothing was carried to this position, because what is there is new."""

Maps = Mapping[int, Tensor]
"""For each dimension that changed: int64 of shape (new size,), the old position of each new one, or `NEW`."""


class StructureOperator(StrEnum):
    """Names what was done to a layer. It knows where each of the layer's units goes.

    >>> StructureOperator("create units") is StructureOperator.CREATE_UNITS
    True
    >>> StructureOperator("create unit")
    Traceback (most recent call last):
        ...
    lifelong.structure.errors.StructureError: no operator 'create unit'; the nearest are 'create units', ...

    Raises:
        StructureError: if there is no operator of that name, with the nearest names.
    """

    CREATE_UNITS = "create units"
    SPLIT_UNITS = "split units"
    REMOVE_UNITS = "remove units"
    MERGE_UNITS = "merge units"
    REINITIALISE_UNITS = "reinitialise units"
    FREEZE_UNITS = "freeze units"
    UNFREEZE_UNITS = "unfreeze units"
    PRUNE_SYNAPSES = "prune synapses"
    CREATE_SYNAPSES = "create synapses"
    REINITIALISE_SYNAPSES = "reinitialise synapses"
    INSERT_LAYER = "insert layer"
    REMOVE_LAYER = "remove layer"

    def __repr__(self) -> str:
        """Return the name in quotes, as of the text that it is."""
        return repr(self.value)

    @classmethod
    def _missing_(cls, value: object) -> None:
        raise unknown("operator", str(value), cls)

    def unit_map(self, before: int, units: tuple[int, ...]) -> Tensor:
        """Return for each unit of the layer the number that it had before, or `NEW`.

        Args:
            before: how many units the layer had.
            units: those that the operator was about, as in `Change.units`.

        Returns:
            int64, of shape (units now,).
        """
        old = torch.arange(before)
        named = torch.tensor(units, dtype=torch.int64)
        # Every operator is named, so that a type checker notices when one is added without a map.
        match self:
            case StructureOperator.CREATE_UNITS | StructureOperator.SPLIT_UNITS:
                return torch.cat([old, torch.full_like(named, NEW)])
            case StructureOperator.REMOVE_UNITS | StructureOperator.MERGE_UNITS:
                return old[~torch.isin(old, named)]
            case StructureOperator.REINITIALISE_UNITS:
                return old.index_fill(0, named, NEW)
            case (
                StructureOperator.FREEZE_UNITS
                | StructureOperator.UNFREEZE_UNITS
                | StructureOperator.PRUNE_SYNAPSES
                | StructureOperator.CREATE_SYNAPSES
                | StructureOperator.REINITIALISE_SYNAPSES
                | StructureOperator.INSERT_LAYER
                | StructureOperator.REMOVE_LAYER
            ):
                return old


@dataclass(frozen=True, eq=False)
class Change:
    """Records one structural edit.

    >>> from torch import nn
    >>> from lifelong.structure import Structure, remove_units
    >>> network = nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 2))
    >>> change = remove_units(Structure(network, torch.zeros(1, 3)), "0", [1, 4])
    >>> change
    Change(operator='remove units', layer='0', units=(1, 4), added=(), dropped=())
    >>> change.unit_map(5)
    tensor([0, 2, 3])
    >>> change.maps["2.weight"]
    {1: tensor([0, 2, 3])}

    Attributes:
        operator: what was done; a name such as `create units` is taken, too.
        layer: the layer's name.
        units: the units that were changed, by their numbers before the change; created ones by those after it.
        maps: the index maps of each tensor that moved, by its new name in the `state_dict`.
        reset: which entries of a tensor changed one by one (pruned or created synapses): bool, of its shape.
        renamed: the new names of tensors whose module moved, by their old names.
        added: the names of the tensors of an inserted layer.
        dropped: the names of the tensors of a removed layer.
        sizes: the shape that each tensor of `maps` and `reset` had before, and that each of `added` has.
    """

    operator: StructureOperator
    layer: str
    units: tuple[int, ...] = ()
    maps: Mapping[str, Maps] = field(default_factory=dict, repr=False)
    reset: Mapping[str, Tensor] = field(default_factory=dict, repr=False)
    renamed: Mapping[str, str] = field(default_factory=dict, repr=False)
    added: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    sizes: Mapping[str, tuple[int, ...]] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "operator", StructureOperator(self.operator))

    @property
    def restarted(self) -> tuple[int, ...]:
        """Return the numbers of the units that start again in their places; none unless they were reinitialised."""
        return self.units if self.operator is StructureOperator.REINITIALISE_UNITS else ()

    def unit_map(self, units: int) -> Tensor:
        """Return for each unit of the changed layer the number that it had before, or `NEW`.

        Args:
            units: how many units the layer had before.

        Returns:
            int64, of shape (units now,).
        """
        return self.operator.unit_map(units, self.units)

    def carry(self, tensors: Mapping[str, Tensor], fill: float | Mapping[str, Tensor] = 0.0) -> dict[str, Tensor]:
        """Make the same change to tensors that are shaped like parameters: Fisher information, importances, anchors.

        >>> change = Change("remove units", "0", (1,), maps={"0.bias": {0: torch.tensor([0, 2])}})
        >>> change.carry({"0.bias": torch.tensor([0.1, 0.2, 0.3]), "2.bias": torch.zeros(1)})
        {'0.bias': tensor([0.1000, 0.3000]), '2.bias': tensor([0.])}

        Args:
            tensors: the tensors, by the names that their parameters had before the change. Those that did not change
                are returned as they are, those of a removed layer are left out, and those of an inserted layer come
                last.
            fill: what new entries get: a number; or tensors of the new shapes, by their new names, to take the entries
                from, such as `dict(network.named_parameters())` for anchors.

        Returns:
            The new tensors by their new names, in the same order. The old ones stay as they were.

        Raises:
            StructureError: if a tensor does not have the shape that its parameter had, or `fill` lacks a name.
        """
        carried = {}
        for old, tensor in tensors.items():
            if old in self.dropped:
                continue
            name = self.renamed.get(old, old)
            if name not in self.maps and name not in self.reset:
                carried[name] = tensor
                continue
            if self.sizes.get(name, tensor.shape) != tensor.shape:
                raise StructureError(f"{name}: {_misfit(tensor)}, {tuple(self.sizes[name])}")
            # What new entries are taken from may be on another device, or of another dtype.
            value = _filling(fill, name).to(tensor) if isinstance(fill, Mapping) else fill
            moved = carry_tensor(tensor, self.maps.get(name, {}), value, name)
            if name in self.reset:
                reset = self.reset[name].to(tensor.device)
                moved = (
                    torch.where(reset, value, moved) if isinstance(value, Tensor) else moved.masked_fill(reset, value)
                )
            carried[name] = moved
        for name in self.added:
            if isinstance(fill, Mapping):
                carried[name] = _filling(fill, name).clone()
            else:
                # A new layer's tensors take device and dtype from the others.
                carried[name] = next(iter(tensors.values()), torch.empty(0)).new_full(self.sizes[name], fill)
        return carried


def carry_tensor(tensor: Tensor, maps: Maps, fill: float | Tensor = 0.0, name: str = "tensor") -> Tensor:
    """Carry a tensor along index maps; new positions hold `fill`.

    >>> carry_tensor(torch.tensor([[1, 2], [3, 4]]), {0: torch.tensor([1, NEW]), 1: torch.tensor([0, 1, NEW])})
    tensor([[3, 4, 0],
            [0, 0, 0]])

    Args:
        tensor: any tensor.
        maps: the index map of each dimension that changes.
        fill: a number, or a tensor of the new shape whose entries are taken.
        name: what an error calls the tensor.

    Raises:
        StructureError: if the tensor is smaller than its map says.
    """
    for dim, index in maps.items():
        if dim >= tensor.dim() or int(index.max()) >= tensor.shape[dim]:
            raise StructureError(f"{name}: {_misfit(tensor)}")
    if not maps:
        return tensor
    sizes = list(tensor.shape)
    for dim, index in maps.items():
        sizes[dim] = len(index)
    # Where nothing is new, one gather for each dimension is enough; else stretches are copied into an empty tensor.
    if all(bool((index != NEW).all()) for index in maps.values()):
        return _gather(tensor, maps).contiguous(memory_format=_memory_format(tensor))
    carried = tensor.new_empty(sizes).contiguous(memory_format=_memory_format(tensor))
    _copy_runs(tensor, carried, sorted(maps.items()))
    _fill_new(carried, maps, fill)
    return carried


def renew(tensor: Tensor, change: Change, name: str, fill: float) -> None:
    """Write `fill` into the entries of a tensor that start again, in place, where a change moves none."""
    for dim, index in change.maps.get(name, {}).items():
        tensor.index_fill_(dim, (index == NEW).nonzero().flatten().to(tensor.device), fill)
    if name in change.reset:
        tensor.masked_fill_(change.reset[name].to(tensor.device), fill)


def _memory_format(tensor: Tensor) -> torch.memory_format:
    # A network in channels-last memory stays in it.
    if not tensor.is_contiguous():
        for dims, memory_format in ((4, torch.channels_last), (5, torch.channels_last_3d)):
            if tensor.dim() == dims and tensor.is_contiguous(memory_format=memory_format):
                return memory_format
    return torch.contiguous_format


def _filling(fill: Mapping[str, Tensor], name: str) -> Tensor:
    if name not in fill:
        raise StructureError(f"{name}: `fill` has no tensor of that name to take new entries from")
    return fill[name].detach()


def _misfit(tensor: Tensor) -> str:
    return f"a tensor of shape {tuple(tensor.shape)} does not have the shape that the parameter had"


def runs(index: Tensor) -> list[tuple[int, int, int]]:
    """Return the stretches of an index map that were carried over: (start in the new, start in the old, length).

    >>> runs(torch.tensor([0, 1, NEW, 3]))
    [(0, 0, 2), (3, 3, 1)]
    """
    kept = (index != NEW).nonzero().flatten()
    if not len(kept):
        return []
    old = index[kept]
    breaks = ((kept.diff() != 1) | (old.diff() != 1)).nonzero().flatten() + 1
    starts = [0, *breaks.tolist()]
    ends = [*breaks.tolist(), len(kept)]
    return [(int(kept[start]), int(old[start]), end - start) for start, end in zip(starts, ends, strict=True)]


def _gather(tensor: Tensor, maps: Maps) -> Tensor:
    for dim, index in maps.items():
        tensor = tensor.index_select(dim, index.to(tensor.device))
    return tensor


def _fill_new(carried: Tensor, maps: Maps, fill: float | Tensor) -> None:
    for dim, index in maps.items():
        # Where rows and columns are new, what they share is written twice, with the same values.
        new = (index == NEW).nonzero().flatten().to(carried.device)
        if isinstance(fill, Tensor):
            carried.index_copy_(dim, new, fill.expand(carried.shape).index_select(dim, new))
        else:
            carried.index_fill_(dim, new, fill)


def _copy_runs(old: Tensor, new: Tensor, maps: list[tuple[int, Tensor]]) -> None:
    """Copy stretches, not single rows: a grown layer has few of them, which are copied as fast as memory allows."""
    if not maps:
        new.copy_(old)
        return
    # A run along each dimension makes a block: recursion over dimensions finds all blocks.
    (dim, index), *others = maps
    for to, start, length in runs(index):
        _copy_runs(old.narrow(dim, start, length), new.narrow(dim, to, length), others)
