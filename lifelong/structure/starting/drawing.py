"""Knows how torch's own modules first draw their parameters and buffers."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Generator, Tensor, nn
from torch.nn.modules.conv import _ConvNd
from torch.nn.modules.linear import NonDynamicallyQuantizableLinear

from lifelong.structure.sizes import NORMS, own_tensors, shape_of

_NORM_STARTS = {"weight": 1.0, "bias": 0.0, "running_mean": 0.0, "running_var": 1.0}


def draw(
    module: nn.Module,
    attribute: str,
    shape: Sequence[int],
    full: Sequence[int],
    generator: Generator | None = None,
) -> Tensor | None:
    """Draw new entries of a module's parameter or buffer, as its class does in its constructor.

    What a network does to its layers later (torchvision's own initialisation of resnets, say) is not known here.

    >>> draw(nn.Linear(3, 5), "weight", shape=(2, 3), full=(7, 3)).shape
    torch.Size([2, 3])
    >>> draw(nn.BatchNorm1d(5), "running_var", shape=(2,), full=(7,))
    tensor([1., 1.])

    Args:
        module: the module that has the tensor.
        attribute: the tensor's name in the module.
        shape: the shape of the new entries.
        full: the shape of the whole tensor with them. A weight is scaled by its fan-in, a bias by the fan-in of the
            module's weight as it is.
        generator: draws on the CPU, so that values are the same for every device; torch's global one by default.

    Returns:
        Values of that shape and the tensor's dtype, on its device; None for an unknown module or tensor.
    """
    own = own_tensors(module)
    law = _law(module, attribute, full) if attribute in own else None
    if law is None:
        return None
    values = _drawn(*law, shape, generator)
    # Where all of an embedding's rows are drawn (new columns), that of the padding stays zero.
    if isinstance(module, nn.Embedding) and module.padding_idx is not None and len(values) == full[0]:
        values[module.padding_idx] = 0.0
    return values.to(own[attribute])


def _law(module: nn.Module, attribute: str, full: Sequence[int]) -> tuple[str, float] | None:
    """Return the distribution of a tensor's first values, and its constant, bound or standard deviation."""
    law: tuple[str, float] | None = None
    if isinstance(module, NonDynamicallyQuantizableLinear) and attribute == "bias":
        law = "constant", 0.0  # the projection out of an attention
    elif isinstance(module, nn.Linear | _ConvNd) and attribute in ("weight", "bias"):
        weight = full if attribute == "weight" else shape_of(module)
        if weight is not None:
            # torch's kaiming_uniform_(weight, a=sqrt(5)) comes to this.
            law = "uniform", 1 / math.sqrt(math.prod(weight[1:]))
    elif isinstance(module, NORMS) and attribute in _NORM_STARTS:
        law = "constant", _NORM_STARTS[attribute]
    elif isinstance(module, nn.MultiheadAttention) and attribute == "in_proj_weight":
        law = "uniform", math.sqrt(6 / sum(full))  # Xavier's, over all three projections as one matrix
    elif isinstance(module, nn.MultiheadAttention) and attribute == "in_proj_bias":
        law = "constant", 0.0
    elif isinstance(module, nn.Embedding) and attribute == "weight":
        law = "normal", 1.0
    elif isinstance(module, nn.PReLU) and attribute == "weight":
        law = "constant", module.init
    return law


def _drawn(law: str, scale: float, shape: Sequence[int], generator: Generator | None) -> Tensor:
    values = torch.empty(tuple(shape))
    if law == "uniform":
        return values.uniform_(-scale, scale, generator=generator)
    if law == "normal":
        return values.normal_(0.0, scale, generator=generator)
    return values.fill_(scale)
