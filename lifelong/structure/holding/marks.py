"""Masks of pruned synapses and marks of frozen units, which the network itself holds.

They are buffers beside the tensor that they are about (`weight_alive`, `weight_frozen`), so that they follow the
network to a device, into a copy and into a pickle. They are no part of its `state_dict`, which stays what a network of
that size has. A blueprint stores them.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lifelong.structure.holding.change import Maps, carry_tensor

ALIVE, FROZEN = "_alive", "_frozen"


def owner(network: nn.Module, name: str) -> tuple[nn.Module, str]:
    """Return the module that holds a tensor, and the tensor's name in it."""
    path, _, attribute = name.rpartition(".")
    return network.get_submodule(path), attribute


def tensor_of(network: nn.Module, name: str) -> Tensor:
    """Return the parameter or buffer of that name."""
    module, attribute = owner(network, name)
    tensor: Tensor = getattr(module, attribute)
    return tensor


def alive(network: nn.Module, name: str) -> Tensor | None:
    """Return which of a weight's synapses are not pruned: bool, of the weight's shape; None while none is pruned."""
    return _mark(network, name, ALIVE)


def frozen(network: nn.Module, name: str) -> Tensor | None:
    """Return which entries of a tensor are frozen: bool, to broadcast over the tensor; None while none is frozen.

    The mark's first dimension is the units' (`frozen_dim`). The tensor's dimensions before it are left out, those
    behind it have size 1, so that a layer with a single unit tells, too, which dimension is meant. The mark of a weight
    of shape (5, 3) is of shape (5, 1) where its rows are units, and (3,) where its columns are.
    """
    return _mark(network, name, FROZEN)


def frozen_dim(tensor: Tensor, mark: Tensor) -> int:
    """Return the dimension along which a tensor's mark of frozen entries tells units apart."""
    return tensor.dim() - mark.dim()


def set_alive(network: nn.Module, name: str, mask: Tensor | None) -> None:
    """Replace a weight's mask; None, or a mask that prunes nothing, takes it away."""
    _set(network, name, ALIVE, None if mask is None or bool(mask.all()) else mask)


def set_frozen(network: nn.Module, name: str, mark: Tensor | None) -> None:
    """Replace a tensor's mark of frozen entries; None, or a mark that freezes nothing, takes it away."""
    _set(network, name, FROZEN, None if mark is None or not bool(mark.any()) else mark)


def masks(network: nn.Module) -> dict[str, Tensor]:
    """Return the mask of each weight that has one, by the weight's name."""
    return _all(network, ALIVE)


def marks(network: nn.Module) -> dict[str, Tensor]:
    """Return the mark of each tensor that has frozen entries, by the tensor's name."""
    return _all(network, FROZEN)


def carried_frozen(network: nn.Module, name: str, maps: Maps) -> Tensor | None:
    """Carry a tensor's mark of frozen entries along a change of the tensor; new units are not frozen."""
    mark = frozen(network, name)
    if mark is None:
        return None
    dim = frozen_dim(tensor_of(network, name), mark)
    return carry_tensor(mark, {0: maps[dim]}, fill=0) if dim in maps else mark


def carried_alive(network: nn.Module, name: str, maps: Maps) -> Tensor | None:
    """Carry a weight's mask along a change of the weight; new synapses are not pruned."""
    mask = alive(network, name)
    return None if mask is None else carry_tensor(mask, maps, fill=1)


def is_mark(name: str) -> bool:
    """Tell whether a buffer of that name is a mask or a mark."""
    return name.endswith((ALIVE, FROZEN))


def _mark(network: nn.Module, name: str, suffix: str) -> Tensor | None:
    module, attribute = owner(network, name)
    mark: Tensor | None = module._buffers.get(attribute + suffix)
    return mark


def _set(network: nn.Module, name: str, suffix: str, mark: Tensor | None) -> None:
    module, attribute = owner(network, name)
    # Without a mark there is no buffer, so that an unmarked network costs nothing.
    module._buffers.pop(attribute + suffix, None)
    if mark is not None:
        device = getattr(module, attribute).device
        module.register_buffer(attribute + suffix, mark.to(device, torch.bool), persistent=False)


def _all(network: nn.Module, suffix: str) -> dict[str, Tensor]:
    return {name.removesuffix(suffix): buffer for name, buffer in network.named_buffers() if name.endswith(suffix)}
