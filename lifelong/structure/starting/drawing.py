"""How torch's own modules first draw their parameters and buffers."""

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
    """New entries of a module's parameter or buffer, as its class draws them in its constructor.

    What a network does to its layers later (torchvision's own initialisation of resnets) is not known here.

    Args:
        module: that has the tensor.
        attribute: the tensor's name in the module.
        shape: of the new entries.
        full: the shape of the whole tensor with them. A weight is scaled by its fan-in; a bias by that of the weight
            that the module has.
        generator: on the CPU, where all values are drawn, so that they are the same for every device.

    Returns:
        Values of the tensor's dtype, on its device; None for a module or a tensor that is not known.
    """
    own = own_tensors(module)
    law = _law(module, attribute, full) if attribute in own else None
    if law is None:
        return None
    values = _drawn(*law, shape, generator)
    if isinstance(module, nn.Embedding) and module.padding_idx is not None and len(values) == full[0]:
        values[module.padding_idx] = 0.0
    return values.to(own[attribute])


def _law(module: nn.Module, attribute: str, full: Sequence[int]) -> tuple[str, float] | None:
    """The distribution of a tensor's first values, and its parameter: the constant, the bound or the deviation."""
    law: tuple[str, float] | None = None
    if isinstance(module, NonDynamicallyQuantizableLinear) and attribute == "bias":
        law = "constant", 0.0  # an attention's way out
    elif isinstance(module, nn.Linear | _ConvNd) and attribute in ("weight", "bias"):
        weight = full if attribute == "weight" else shape_of(module)
        if weight is not None:
            law = "uniform", 1 / math.sqrt(math.prod(weight[1:]))  # as is torch's kaiming_uniform_(weight, a=sqrt(5))
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
