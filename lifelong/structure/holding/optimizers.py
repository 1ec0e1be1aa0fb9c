"""Carries what an optimizer knows of the weights along a change.

The state of surviving weights stays as it is. That of new weights is what the optimizer itself would begin with.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import zip_longest
from typing import Any

from torch import Tensor
from torch.nn import Parameter
from torch.optim import LBFGS, Optimizer

from lifelong.structure.errors import StructureError
from lifelong.structure.holding.births import BIRTHS, carry_births, is_corrected
from lifelong.structure.holding.change import Change, renew

Replaced = Mapping[str, tuple[Parameter, Parameter]]
"""For the name of each parameter that changed: the old and the new one, the same object if only values changed."""


def check_optimizer(optimizer: Optimizer) -> None:
    """Check that an optimizer's state can follow a change of structure. Nothing is copied.

    Raises:
        StructureError: if the optimizer holds tensors that have neither one value nor a parameter's shape (Adafactor's
            factors), keeps all parameters as one vector (LBFGS), or has sparse gradients that it has not used yet.
    """
    kind = type(optimizer).__name__
    if isinstance(optimizer, LBFGS):
        raise StructureError(
            f"{kind} sees all parameters as one vector: its history cannot follow a change of structure"
        )
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            if parameter.grad is not None and parameter.grad.is_sparse:
                raise StructureError(f"{kind} has a sparse gradient to use: make the step, or set it to None, first")
            for key, value in optimizer.state.get(parameter, {}).items():
                _check_entry(kind, parameter, key, value)


def carry_optimizer(optimizer: Optimizer, change: Change, replaced: Replaced) -> None:
    """Put new parameters in the old ones' places in an optimizer, and take their state along.

    In a parameter's state, tensors of its shape follow the change. A new entry is 0, or whatever else the optimizer
    itself begins with (`initial_state`). What is kept once for the whole tensor stays as it is. For Adam the births of
    new rows and columns are noted beside it (`lifelong.structure.holding.births`).

    Args:
        optimizer: one that passes `check_optimizer`; parameters that it does not train are left out.
        change: the change, with the index maps of the parameters that changed.
        replaced: the parameters, by their names after the change.
    """
    places = _places(optimizer)
    for name, (old, new) in replaced.items():
        if id(old) in places:
            group, position = places[id(old)]
            group["params"][position] = new
            _carry_state(optimizer, change, name, group, old, new)
    # An optimizer that was made from named parameters keeps their names, too.
    for group in optimizer.param_groups:
        if "param_names" in group:
            group["param_names"] = [change.renamed.get(name, name) for name in group["param_names"]]


def carry_gradient(change: Change, name: str, old: Parameter, new: Parameter) -> None:
    """Give a new parameter the gradient of the old one, if that has one; new entries are 0."""
    if old.grad is not None:
        new.grad = _moved(change, name, old.grad, 0.0, old is new)


def add_parameters(
    optimizer: Optimizer, parameters: Iterable[Parameter], like: Parameter | None = None, names: Iterable[str] = ()
) -> None:
    """Put the parameters of a new layer into the group that trains `like`, or into the first one if none does.

    Args:
        optimizer: makes their state with their first step.
        parameters: the new parameters, none of which it trains yet.
        like: a parameter of a neighbouring layer.
        names: the parameters' names, for an optimizer that was made from named ones; empty where not given.
    """
    # A neighbour that is not trained is in no group.
    group, _ = _places(optimizer).get(id(like), (optimizer.param_groups[0], 0))
    for parameter, name in zip_longest(parameters, names, fillvalue=""):
        group["params"].append(parameter)
        if "param_names" in group:
            group["param_names"].append(name)


def drop_parameters(optimizer: Optimizer, parameters: Iterable[Parameter]) -> None:
    """Take parameters and their state out of an optimizer. Groups that become empty are kept."""
    dropped = {id(parameter): parameter for parameter in parameters}
    for group in optimizer.param_groups:
        stay = [id(parameter) not in dropped for parameter in group["params"]]
        for key in group.keys() & {"params", "param_names"}:
            group[key] = [entry for entry, stays in zip(group[key], stay, strict=True) if stays]
    for parameter in dropped.values():
        optimizer.state.pop(parameter, None)


def in_order(optimizer: Optimizer, tensors: Iterable[Tensor]) -> bool:
    """Tell whether each group has its parameters in the order of these tensors."""
    place = {id(tensor): number for number, tensor in enumerate(tensors)}
    places = [[place.get(id(parameter), -1) for parameter in group["params"]] for group in optimizer.param_groups]
    return all(numbers == sorted(numbers) for numbers in places)


def put_in_order(optimizer: Optimizer, tensors: Iterable[Tensor]) -> None:
    """Sort each group's parameters by the order of these tensors; others come first."""
    place = {id(tensor): number for number, tensor in enumerate(tensors)}
    for group in optimizer.param_groups:
        number = [place.get(id(parameter), -1) for parameter in group["params"]]
        order = sorted(range(len(number)), key=number.__getitem__)
        for key in group.keys() & {"params", "param_names"}:
            group[key] = [group[key][old] for old in order]


def per_weight(parameter: Tensor, state: Mapping[str, Any]) -> Iterator[tuple[str, Tensor]]:
    """Return the tensors of a parameter's state that have a value for each weight."""
    for key, value in state.items():
        if isinstance(value, Tensor) and value.shape == parameter.shape:
            yield key, value


def initial_state(group: Mapping[str, Any], key: str) -> float:
    """Return what an optimizer begins with: 0 for moments, Adagrad's initial accumulator, Rprop's learning rate."""
    if key == "sum" and "initial_accumulator_value" in group:
        return float(group["initial_accumulator_value"])  # Adagrad
    if key == "step_size" and "etas" in group:
        return float(group["lr"])  # Rprop
    return 0.0


def _carry_state(
    optimizer: Optimizer, change: Change, name: str, group: dict[str, Any], old: Parameter, new: Parameter
) -> None:
    if not optimizer.state.get(old):
        return
    # Before the state moves: births are carried by the parameter's old shape.
    if is_corrected(optimizer, old):
        carry_births(optimizer.state[old], old, change.maps.get(name, {}))
    state, same = optimizer.state.pop(old), old is new
    moved = {key: _moved(change, name, value, initial_state(group, key), same) for key, value in per_weight(old, state)}
    # What the optimizer keeps once for a whole tensor, such as the count of steps, stays.
    optimizer.state[new] = {**state, **moved}


def _moved(change: Change, name: str, tensor: Tensor, fill: float, same: bool) -> Tensor:
    """Carry a tensor along the change; where the parameter stays the same object, write only what starts again."""
    if same:
        renew(tensor, change, name, fill)
        return tensor
    # `Change.carry` takes tensors by their old names.
    before = next((old for old, new in change.renamed.items() if new == name), name)
    return change.carry({before: tensor}, fill)[name]


def _places(optimizer: Optimizer) -> dict[int, tuple[dict[str, Any], int]]:
    """Return for each parameter, by its id, its group and its position there."""
    return {
        id(parameter): (group, position)
        for group in optimizer.param_groups
        for position, parameter in enumerate(group["params"])
    }


def _check_entry(kind: str, parameter: Parameter, key: str, value: Any) -> None:
    # A tensor inside a list or dictionary would not be found again by its shape; births are ours, and carried apart.
    direct = isinstance(value, Tensor)
    for tensor in () if key == BIRTHS else _tensors(value):
        if tensor.numel() != 1 and not (direct and tensor.shape == parameter.shape):
            raise StructureError(
                f"{kind} keeps {key!r} of shape {tuple(tensor.shape)} for a parameter of shape "
                f"{tuple(parameter.shape)}: only values of each weight can follow a change of structure"
            )


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from _tensors(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _tensors(part)
