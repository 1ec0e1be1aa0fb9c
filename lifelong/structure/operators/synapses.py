"""Operators on synapses: prune them and create them again, by masks that hold through training.

Synaptic pruning and synaptogenesis are two of the four operators of Maile et al. (2022, TMLR, "Structural Learning in
Artificial Neural Networks: A Neural Operator Perspective").
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import Parameter

from lifelong.structure.checks import check_name
from lifelong.structure.errors import StructureError, unknown
from lifelong.structure.holding.change import Change, StructureOperator
from lifelong.structure.holding.marks import alive, frozen, set_alive
from lifelong.structure.holding.optimizers import check_optimizer
from lifelong.structure.structure import Structure


def prune_synapses(structure: Structure, weight: str, where: Tensor) -> Change:
    """Set synapses to zero, and keep them there whatever the optimizer does; those pruned before stay pruned.

    Tensors keep their sizes, so that no time or memory is saved; the synapses can be created again. A unit that is
    removed takes its masks with it. Synapses of new units are not pruned.

    >>> from torch import nn
    >>> network = nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 2))
    >>> structure = Structure(network, torch.zeros(1, 3))
    >>> change = prune_synapses(structure, "0.weight", network[0].weight.abs() < 10)
    >>> network[0].weight.count_nonzero().item(), pruned_synapses(structure, "0.weight").sum().item()
    (0, 15)

    Args:
        structure: the structure whose network is changed.
        weight: the parameter's name.
        where: which synapses: bool, of the weight's shape; or of its first two dimensions, for whole kernels of a
            convolution.

    Returns:
        The change; its `reset` tells which synapses were pruned now.

    Raises:
        StructureError: if there is no such weight, the shape is another, or frozen units would change.
    """
    parameter, chosen = _checked(structure, weight, where)
    mask = alive(structure.network, weight)
    chosen = chosen if mask is None else chosen & mask
    # A synapse that is zero already may be pruned in a frozen unit: the unit stays as it is.
    _refuse_frozen(structure, weight, chosen & (parameter != 0))
    with torch.no_grad():
        parameter.masked_fill_(chosen, 0)
    set_alive(structure.network, weight, ~chosen if mask is None else mask & ~chosen)
    structure.refresh()
    return Change(StructureOperator.PRUNE_SYNAPSES, weight, reset={weight: chosen})


def create_synapses(structure: Structure, weight: str, where: Tensor, values: Tensor | float = 0.0) -> Change:
    """Let pruned synapses live again.

    By default they start at zero, as RigL's do (Evci et al. 2020, arXiv:1911.11134), so that the network's function
    stays as it is. Their optimizer state starts again, too.

    >>> from torch import nn
    >>> network = nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 2))
    >>> structure = Structure(network, torch.zeros(1, 3))
    >>> everything = torch.ones(5, 3, dtype=torch.bool)
    >>> _ = prune_synapses(structure, "0.weight", everything)
    >>> change = create_synapses(structure, "0.weight", torch.eye(5, 3).bool(), values=0.5)
    >>> network[0].weight.sum().item(), pruned_synapses(structure, "0.weight").sum().item()
    (1.5, 12)

    Args:
        structure: the structure whose network is changed.
        weight: the parameter's name.
        where: as in `prune_synapses`; synapses that are not pruned stay as they are.
        values: what the synapses start with: a number, or a tensor of the weight's shape.

    Returns:
        The change; its `reset` tells which synapses were created.

    Raises:
        StructureError: if there is no such weight, the shape is another, nothing of it is pruned, or frozen units would
            change.
    """
    parameter, chosen = _checked(structure, weight, where)
    mask = alive(structure.network, weight)
    if mask is None:
        raise StructureError(f"nothing of {weight!r} is pruned")
    chosen = chosen & ~mask
    _refuse_frozen(structure, weight, chosen)
    values = torch.as_tensor(values, dtype=parameter.dtype, device=parameter.device)
    if values.dim() and values.shape != parameter.shape:
        raise StructureError(f"{weight!r} has the shape {_sizes(parameter)}, values of {_sizes(values)} do not fit")
    with torch.no_grad():
        parameter.copy_(torch.where(chosen, values, parameter))
    set_alive(structure.network, weight, mask | chosen)
    change = Change(StructureOperator.CREATE_SYNAPSES, weight, reset={weight: chosen})
    return structure.settle(change)


def pruned_synapses(structure: Structure, weight: str) -> Tensor:
    """Return which of a weight's synapses are pruned: bool, of its shape.

    Raises:
        StructureError: if there is no such weight.
    """
    parameter = _weight(structure, weight)
    mask = alive(structure.network, weight)
    return torch.zeros_like(parameter, dtype=torch.bool) if mask is None else ~mask


def _weight(structure: Structure, weight: str) -> Parameter:
    check_name(weight, "weight")
    parameters = {name: tensor for name, tensor in structure.network.named_parameters() if tensor.dim() > 1}
    if weight not in parameters:
        raise unknown("weight", weight, parameters)
    return parameters[weight]


def _checked(structure: Structure, weight: str, where: Tensor) -> tuple[Parameter, Tensor]:
    parameter = _weight(structure, weight)
    if not isinstance(where, Tensor):
        raise StructureError(f"{weight!r}: which synapses is said by a bool tensor, not a {type(where).__name__}")
    where = where.to(parameter.device)
    if where.dtype is not torch.bool or where.shape not in (parameter.shape, parameter.shape[:2]):
        raise StructureError(
            f"{weight!r} has the shape {_sizes(parameter)}; which synapses is a bool tensor of that shape, "
            f"or of its first two dimensions, not {str(where.dtype).removeprefix('torch.')} of {_sizes(where)}"
        )
    if structure.optimizer is not None:
        check_optimizer(structure.optimizer)
    # A choice of whole kernels is spread over each kernel's entries.
    kernel = (1,) * (parameter.dim() - where.dim())
    return parameter, where.view(*where.shape, *kernel).expand_as(parameter)


def _refuse_frozen(structure: Structure, weight: str, chosen: Tensor) -> None:
    mark = frozen(structure.network, weight)
    if mark is not None and bool((mark & chosen).any()):
        raise StructureError(f"{weight!r}: some of these synapses are read by frozen units; unfreeze them first")


def _sizes(tensor: Tensor) -> str:
    return " x ".join(map(str, tensor.shape)) or "one number"
