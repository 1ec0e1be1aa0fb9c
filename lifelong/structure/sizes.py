"""Keeps the sizes that modules state as attributes (`in_features`, `out_channels`, ...) in step with their tensors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

Attributes = dict[str, int | list[int]]
"""A module's size attributes by name, as plain data."""


def attributes(module: nn.Module) -> Attributes:
    """Return the sizes that a module states beside its tensors; none for modules that are not known.

    >>> attributes(nn.Linear(3, 5))
    {'in_features': 3, 'out_features': 5}
    """
    return {name: _plain(getattr(module, name)) for name in _from_shapes(module) or _of_container(module)}


def set_attributes(module: nn.Module, values: Mapping[str, int | list[int]]) -> None:
    """Let a module state these sizes."""
    for name, value in values.items():
        setattr(module, name, tuple(value) if isinstance(value, list) else value)


def sync_attributes(module: nn.Module) -> None:
    """Let a module state the sizes that its tensors have, after they were replaced.

    A group normalisation keeps the number of channels in a group, unless there was one group: it stays one. A depthwise
    convolution keeps one group for each channel that it reads; other grouped ones keep their number of groups.
    """
    set_attributes(module, _from_shapes(module))


def is_consistent(module: nn.Module) -> bool:
    """Tell whether a module's biases and statistics have a value for each of the units that it states."""
    stated = attributes(module)
    units = next(
        (stated[key] for key in ("out_features", "out_channels", "num_features", "num_channels") if key in stated), 0
    )
    own = own_tensors(module)
    return not units or all(len(own[name]) == units for name in ("bias", "running_mean", "running_var") if name in own)


def sync_containers(network: nn.Module, before: Mapping[nn.Module, int]) -> None:
    """Let containers that state the width of linear layers inside them follow those.

    Such a container makes its next layers of that width. Avalanche's `MultiHeadClassifier.in_features`, for example,
    is the width of later heads.

    Args:
        network: the network, whose linear layers state their new widths already.
        before: the `in_features` that each linear layer had before.
    """
    for container in network.modules():
        stated = _of_container(container).get("in_features")
        # Where all layers inside that had the stated width now have one width, it is the container's, too.
        widths = {layer.in_features for layer in container.modules() if before.get(layer, -1) == stated}
        if len(widths) == 1:
            set_attributes(container, {"in_features": int(widths.pop())})  # type: ignore[arg-type]


def _plain(value: Any) -> int | list[int]:
    return list(value) if isinstance(value, tuple) else value


def own_tensors(module: nn.Module) -> dict[str, Tensor]:
    """Return the tensors that a module holds itself, without asking for a parametrised weight, which computes it."""
    own = {**module._parameters, **module._buffers}
    return {name: tensor for name, tensor in own.items() if tensor is not None}


def shape_of(module: nn.Module) -> torch.Size | None:
    """Return the shape of the tensor that tells a module's sizes; None if it has none."""
    own = own_tensors(module)
    return next((own[name].shape for name in ("weight", "in_proj_weight", "running_mean") if name in own), None)


def _find(table: Mapping[type, Any], module: nn.Module) -> Any:
    return next((table[kind] for kind in type(module).__mro__ if kind in table), None)


def _from_shapes(module: nn.Module) -> Attributes:
    rule, shape = _find(_SIZES, module), shape_of(module)
    return {} if rule is None or shape is None else rule(module, shape)


def _of_container(module: nn.Module) -> Attributes:
    stated = module.__dict__.get("in_features")
    if isinstance(stated, int) and not type(module).__module__.startswith("torch."):
        return {"in_features": stated}
    return {}


def _linear(_: Any, shape: torch.Size) -> Attributes:
    return {"in_features": shape[1], "out_features": shape[0]}


def _convolution(module: Any, shape: torch.Size) -> Attributes:
    groups = module.groups
    # Depthwise: one group for each channel that is read, with as many channels made of it as before.
    if 1 < groups == module.in_channels and shape[1] == 1:
        groups = shape[0] // (module.out_channels // groups)
    return _convolved(shape[1] * groups, shape[0], groups, shape)


def _transposed(module: Any, shape: torch.Size) -> Attributes:
    return _convolved(shape[0], shape[1] * module.groups, module.groups, shape)


def _convolved(reads: int, makes: int, groups: int, shape: torch.Size) -> Attributes:
    return {"in_channels": reads, "out_channels": makes, "groups": groups, "kernel_size": list(shape[2:])}


def _group_norm(module: Any, shape: torch.Size) -> Attributes:
    channels = module.num_channels // module.num_groups
    return {"num_channels": shape[0], "num_groups": 1 if module.num_groups == 1 else shape[0] // channels}


def _attention(module: Any, shape: torch.Size) -> Attributes:
    # The weight is (3 x heads x head size, width of the stream): the stream's width is what modules around see.
    width = dict.fromkeys(("embed_dim", "kdim", "vdim"), shape[1])
    return {**width, "num_heads": shape[0] // 3 // module.head_dim, "head_dim": module.head_dim}


NORMS = (_NormBase, nn.LayerNorm, nn.RMSNorm, nn.GroupNorm)

_SIZES: dict[type, Callable[[Any, torch.Size], Attributes]] = {
    nn.Linear: _linear,
    _ConvTransposeNd: _transposed,
    _ConvNd: _convolution,
    _NormBase: lambda _, shape: {"num_features": shape[0]},
    nn.LayerNorm: lambda _, shape: {"normalized_shape": list(shape)},
    nn.RMSNorm: lambda _, shape: {"normalized_shape": list(shape)},
    nn.GroupNorm: _group_norm,
    nn.PReLU: lambda _, shape: {"num_parameters": shape[0]},
    nn.Embedding: lambda _, shape: {"num_embeddings": shape[0], "embedding_dim": shape[1]},
    nn.MultiheadAttention: _attention,
}
