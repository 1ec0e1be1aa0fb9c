"""Works out the results of operations on the meta device, the frequent ones much faster than torch does.

Torch finds many of these results by running a formula in Python on tensors without values, which takes up to 2 ms for
one operation. In most networks such a result just has the shape of the input.

Each function here takes the arguments of its operation. It returns the result, or None if the arguments are anything
but the plain case. Then torch is asked, which also raises the error if the sizes do not fit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

aten = torch.ops.aten


def result_of(operation: Any, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """Return what an operation returns; torch is asked unless the case is a plain and frequent one."""
    quick = _QUICK.get(operation)
    out = None if quick is None else quick(*args, **kwargs)
    return operation(*args, **kwargs) if out is None else out


def _are_plain(*tensors: Any) -> bool:
    """Tell whether these are tensors of one floating-point type, without values and without gaps in memory."""
    return all(
        isinstance(tensor, Tensor)
        and tensor.is_meta
        and tensor.is_contiguous()
        and tensor.is_floating_point()
        and tensor.dtype is tensors[0].dtype
        for tensor in tensors
    )


def _fit(shape: tuple[int, ...], x: Tensor, *parameters: Tensor | None) -> bool:
    """Tell whether the parameters that there are have this shape, and all tensors are plain."""
    given = [parameter for parameter in parameters if parameter is not None]
    return _are_plain(x, *given) and all(parameter.shape == shape for parameter in given)


def _entrywise(x: Tensor, *_: Any, **__: Any) -> Tensor | None:
    return x.new_empty(x.shape) if _are_plain(x) else None


def _of_two(x: Tensor, other: Any, **_: Any) -> Tensor | None:
    return x.new_empty(x.shape) if _are_plain(x, other) and x.shape == other.shape else None


def _addmm(bias: Tensor, one: Tensor, other: Tensor, **_: Any) -> Tensor | None:
    fits = bias.is_meta and bias.dtype is one.dtype and bias.shape == other.shape[1:]
    return aten.mm.default(one, other) if fits and one.is_meta and other.is_meta else None


def _batch_norm(
    x: Tensor, weight: Tensor | None, bias: Tensor | None, mean: Tensor | None, variance: Tensor | None, *more: Any
) -> tuple[Tensor, ...] | None:
    training = more[0]
    if training or mean is None or variance is None or not _fit(x.shape[1:2], x, weight, bias, mean, variance):
        return None
    return x.new_empty(x.shape), x.new_empty(x.shape[1:2]), x.new_empty(x.shape[1:2])


def _layer_norm(
    x: Tensor, shape: list[int], weight: Tensor | None, bias: Tensor | None, _: float
) -> tuple[Tensor, ...] | None:
    first = x.dim() - len(shape)
    if first < 0 or list(x.shape[first:]) != list(shape) or not _fit(tuple(shape), x, weight, bias):
        return None
    each = (*x.shape[:first], *[1] * len(shape))
    return x.new_empty(x.shape), x.new_empty(each), x.new_empty(each)


_QUICK: dict[Any, Callable[..., Any]] = {
    aten.relu.default: _entrywise,
    aten.gelu.default: _entrywise,
    aten.elu.default: _entrywise,
    aten.leaky_relu.default: _entrywise,
    aten.hardtanh.default: _entrywise,
    aten.add.Tensor: _of_two,
    aten.mul.Tensor: _of_two,
    aten.addmm.default: _addmm,
    aten.native_batch_norm.default: _batch_norm,
    aten.native_layer_norm.default: _layer_norm,
}
