"""Says what each of torch's operations does with labelled dimensions.

The operations are ATen's: all of torch's functions and modules are made of them. An elementwise operation is known by
torch's own tag. An operation without a rule fixes the units that pass through it, so that nothing is changed that is
not understood.

A rule gets the labels, the result and the arguments of one call. It labels the result, joins the labels that must
change together, and fixes those that cannot change. For `Linear(5, 2)` behind units with the labels 0 to 4, whose
weight has 13 and 14 along its rows and 15 to 19 along its columns, `_matmul` sees a product of (n, 5) and (5, 2). It
joins 0 with 15 to 4 with 19, because the product sums over both; it notes that 15 to 19 are a fan-out, and 13 and 14 a
fan-in; and it labels the result, of shape (n, 2), with 13 and 14 along dimension 1.

Rules for operations that only rearrange entries are in `views`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch._ops import OpOverload
from torch.utils._pytree import tree_leaves

from lifelong.structure.reading.labels import Axes, Labels
from lifelong.structure.reading.layer import Role
from lifelong.structure.reading.views import VIEWS

Rule = Callable[[Labels, Any, list[Any], dict[str, Any]], None]
"""Takes the labels, the operation's result, and its positional and named arguments."""

aten = torch.ops.aten


def apply_rule(labels: Labels, operation: OpOverload, out: Any, args: list[Any], kwargs: dict[str, Any]) -> None:
    """Label the result of an operation, and join or fix what it joins or fixes."""
    packet = operation.overloadpacket
    inputs = tensors_in([*args, *kwargs.values()])
    # No size in this depends on a unit.
    if not any(labels.of(tensor) for tensor in inputs):
        return
    # Weights may be computed (scaled, masked, exponentiated): note where zero parameters no longer mean zero weights.
    if all(labels.is_weight(tensor) for tensor in inputs) and _shifts(labels, packet, inputs):
        for result in tensors_in([out]):
            labels.shift(result)
    if rule := RULES.get(packet):
        rule(labels, out, args, kwargs)
    elif torch.Tag.pointwise in operation.tags or packet in _SAME_SHAPE:
        for result in tensors_in([out]):
            pointwise(labels, result, inputs)
    else:
        for tensor in inputs:
            labels.fix_all(tensor, f"they pass through {packet.__name__}, which has no rule,")


def _shifts(labels: Labels, packet: Any, inputs: Sequence[Tensor]) -> bool:
    """Tell whether an operation on parameters alone may give another value than zero where a labelled one is zero."""
    return packet not in _KEEPS_ZERO or any(labels.is_shifted(tensor) for tensor in inputs if labels.of(tensor))


def tensors_in(values: Any) -> list[Tensor]:
    """Return the tensors among arguments or results, however nested."""
    # These come with every operation; torch's search is for what a network's author may have registered with it.
    if isinstance(values, Tensor):
        return [values]
    if type(values) in (list, tuple):
        return [tensor for value in values for tensor in tensors_in(value)]
    if values is None or isinstance(values, int | float):
        return []
    return [value for value in tree_leaves(values) if isinstance(value, Tensor)]


def pointwise(labels: Labels, out: Tensor, inputs: Sequence[Tensor]) -> None:
    """Join what an elementwise operation puts side by side; dimensions are matched from the right, as in broadcasting.

    Args:
        labels: the labels of the pass.
        out: the result, which is labelled.
        inputs: the arguments.
    """
    axes: Axes = {}
    for tensor in inputs:
        shift = out.dim() - tensor.dim()
        for dim, of_dim in labels.of(tensor).items():
            if out.shape[dim + shift] != len(of_dim):
                labels.fix(of_dim, "a single unit is broadcast over others")
            elif dim + shift in axes:
                labels.join(axes[dim + shift], of_dim)
                # Parameters were labelled before buffers: a masked weight stays a weight.
                axes[dim + shift] = min(axes[dim + shift], of_dim, key=lambda of: int(of[0]))
            else:
                axes[dim + shift] = of_dim
    # An argument without labels along a unit's dimension cannot grow with it, unless it is broadcast over it.
    for tensor in inputs:
        shift = out.dim() - tensor.dim()
        for dim, of_dim in axes.items():
            if dim >= shift and dim - shift not in labels.of(tensor) and tensor.shape[dim - shift] == len(of_dim) > 1:
                labels.fix(of_dim, "they are combined with a tensor that cannot change")
    labels.put(out, axes)


def contract(labels: Labels, one: Tensor, one_dim: int, other: Tensor, other_dim: int) -> None:
    """Join the dimensions of two tensors over which a product sums: there, units are read by weights."""
    ends = [(one, one_dim), (other, other_dim)]
    weights = [labels.of(tensor).get(dim) for tensor, dim in ends if labels.is_weight(tensor)]
    units = [labels.of(tensor).get(dim) for tensor, dim in ends if not labels.is_weight(tensor)]
    # Two activations (attention scores), or two weights (a low-rank product), have no one to write zeros into.
    if len(weights) == 1 and weights[0] is not None and units[0] is not None:
        labels.join(weights[0], units[0])
        labels.read(*next(end for end in ends if labels.is_weight(end[0])))
        return
    reason = "they read what cannot change" if len(weights) == 1 else "they are multiplied with each other"
    for of_dim in weights + units:
        if of_dim is not None:
            labels.fix(of_dim, reason)


def _matmul(labels: Labels, out: Tensor, args: list[Any], kwargs: dict[str, Any]) -> None:
    one, other = args[-2:]  # addmm and baddbmm take a bias first
    rows, columns = out.dim() - 2, out.dim() - 1
    contract(labels, one, columns, other, rows)
    axes: Axes = {}
    for tensor, dim, crossing in ((one, rows, other), (other, columns, one)):
        of_dim = labels.of(tensor).get(dim)
        if of_dim is not None:
            axes[dim] = of_dim
            # A weight that meets activations makes units; a product of two weights is a weight still.
            if labels.is_weight(tensor) and not labels.is_weight(crossing):
                labels.play(of_dim, Role.FAN_IN)
    # A batch of products, as in attention: units along the batch have to be on both sides.
    batch = [tensor for tensor in (one, other) if 0 in labels.of(tensor)] if out.dim() == 3 else []
    if len(batch) == 2:
        labels.join(labels.of(one)[0], labels.of(other)[0])
        axes[0] = labels.of(one)[0]
    elif batch:
        labels.fix(labels.of(batch[0])[0], "each is multiplied by a matrix of its own")
    labels.put(out, axes)
    # The bias is added as any other tensor is.
    if len(args) == 3:
        pointwise(labels, out, [out, args[0]])


def _convolution(labels: Labels, out: Tensor, args: list[Any], kwargs: dict[str, Any]) -> None:
    x, weight, bias = args[:3]
    transposed, groups = args[6], args[8]
    _fix_spatial(labels, x, weight.dim() - 2)
    # A convolution's weight is (out, in / groups, ...), a transposed one's (in, out / groups, ...).
    reads, makes = (0, 1) if transposed else (1, 0)
    made = labels.of(weight).get(makes)
    if made is None:
        return labels.fix_all(x, "their weights cannot change")
    if groups == 1:
        contract(labels, x, 1, weight, reads)
        labels.play(made, Role.FAN_IN)
    elif transposed:
        labels.fix_all(x, "they pass through a grouped transposed convolution")
        return labels.fix_all(weight, "a grouped transposed convolution has no rule")
    else:
        _grouped(labels, x, weight, groups)
    axes = {0: labels.of(x)[0]} if 0 in labels.of(x) else {}
    labels.put(out, axes | {1: made})
    if bias is not None:
        own = labels.of(bias).get(0)
        if own is None:
            labels.fix(made, "they get a bias that cannot change")
        else:
            labels.join(made, own)
    return None


def _grouped(labels: Labels, x: Tensor, weight: Tensor, groups: int) -> None:
    units, made, read = labels.of(x).get(1), labels.of(weight)[0], labels.of(weight)[1]
    if units is None:
        labels.fix_all(weight, "they read what cannot change")
    elif weight.shape[1] == 1:
        # Depthwise: each channel that is read has its own filters, which belong to it like a bias.
        labels.join(units.repeat_interleave(len(made) // groups), made)
        labels.fix(read, "a depthwise convolution reads one channel")
    else:  # what changes in one group changes in all, so that the groups stay of equal size
        labels.join(units, read.repeat(groups))
        labels.read(weight, 1)
        _tie(labels, made.view(groups, -1))
        labels.groups += [(units, len(read)), (made, len(made) // groups)]
        labels.play(made, Role.FAN_IN)


def _tie(labels: Labels, groups: Tensor) -> None:
    """Join all rows of a matrix of labels with its first row."""
    labels.join(groups, groups[:1].expand_as(groups))


def _fix_spatial(labels: Labels, x: Tensor, dims: int) -> None:
    for dim, of_dim in labels.of(x).items():
        if dim >= x.dim() - dims:
            labels.fix(of_dim, "they lie along height or width")


def _spatial(dims: int) -> Rule:
    def rule(labels: Labels, out: Any, args: list[Any], kwargs: dict[str, Any]) -> None:
        _fix_spatial(labels, args[0], dims)
        result = tensors_in([out])[0]
        labels.put(result, {dim: of for dim, of in labels.of(args[0]).items() if dim < args[0].dim() - dims})

    return rule


# `sizes` reads a module's sizes off its tensors: without one, the module would keep its old size.
_SIZELESS = "they pass through a normalisation that has no tensor to read its size from"


def _normalised(labels: Labels, out: Any, x: Tensor, parameters: Sequence[Any], dim: int) -> None:
    """Join the parameters of a normalisation with the input's dimensions, of which `dim` is their first."""
    for parameter in tensors_in(parameters):
        for offset, own in labels.of(parameter).items():
            of_dim = labels.of(x).get(dim + offset)
            if of_dim is None:
                labels.fix(own, "they normalise what cannot change")
            else:
                labels.join(of_dim, own)
    labels.put(tensors_in([out])[0], labels.of(x))


def _batch_norm(labels: Labels, out: Any, args: list[Any], kwargs: dict[str, Any]) -> None:
    if not tensors_in(args[1:5]):
        labels.fix_all(args[0], _SIZELESS)
    _normalised(labels, out, args[0], args[1:5], 1)


def _layer_norm(labels: Labels, out: Any, args: list[Any], kwargs: dict[str, Any]) -> None:
    x, first = args[0], args[0].dim() - len(args[1])
    # Units that are normalised together stay free, but a new one changes what the others look like to their readers.
    for dim, of_dim in labels.of(x).items():
        if dim >= first:
            labels.mix(of_dim)
            if args[2] is None:
                labels.fix(of_dim, _SIZELESS)
    _normalised(labels, out, x, args[2:4], first)


def _group_norm(labels: Labels, out: Any, args: list[Any], kwargs: dict[str, Any]) -> None:
    x, groups = args[0], args[6]
    units = labels.of(x).get(1)
    if units is not None and groups == 1:
        labels.mix(units)
    elif units is not None:
        # The channels of a group are normalised together, so that a whole group is one unit.
        _tie(labels, units.view(groups, -1).t())
        if not isinstance(labels.module, nn.GroupNorm):
            labels.fix(units, "they are normalised in a number of groups that no module states")
    if units is not None and args[1] is None:
        labels.fix(units, _SIZELESS)
    _normalised(labels, out, x, args[1:3], 1)


def _softmax(labels: Labels, out: Any, args: list[Any], kwargs: dict[str, Any]) -> None:
    # In a softmax over units each one's value depends on all, so that none can go without a trace.
    dim = args[1] % args[0].dim()
    if dim in labels.of(args[0]):
        labels.fix(labels.of(args[0])[dim], "they share a softmax")
    labels.put(out, labels.of(args[0]))


def _embedding(labels: Labels, out: Any, args: list[Any], kwargs: dict[str, Any]) -> None:
    rows, width = labels.of(args[0])[0], labels.of(args[0])[1]
    labels.fix(rows, "they are the embedding's vocabulary")
    labels.play(width, Role.FAN_IN)
    labels.put(out, {out.dim() - 1: width})


def _made_anew(labels: Labels, out: Any, args: list[Any], kwargs: dict[str, Any]) -> None:
    """Leave the result without labels: only dtype and device are the argument's, the sizes are not."""


_SAME_SHAPE = {
    aten._to_copy, aten.alias, aten.copy_, aten.detach, aten.lift_fresh, aten.zeros_like, aten.ones_like,
    aten.empty_like, aten.full_like, aten.rand_like, aten.randn_like, aten.bernoulli, aten.bernoulli_,
    aten.native_dropout, aten.fill_, aten.zero_, aten.masked_fill, aten.masked_fill_,
    aten._prelu_kernel,
}  # fmt: skip

_KEEPS_ZERO = {
    aten._to_copy, aten.alias, aten.clone, aten.detach, aten.lift_fresh, aten.mul, aten.mul_, aten.neg, aten.abs,
    aten.relu, aten.tanh, aten.mm, aten.bmm, *VIEWS,
}  # fmt: skip
"""Operations on parameters whose result is zero where a parameter is zero; of a product, one factor is enough."""

RULES: dict[Any, Rule] = {
    aten.mm: _matmul,
    aten.addmm: _matmul,
    aten.bmm: _matmul,
    aten.baddbmm: _matmul,
    aten.convolution: _convolution,
    aten.native_batch_norm: _batch_norm,
    aten.native_layer_norm: _layer_norm,
    aten.native_group_norm: _group_norm,
    aten._softmax: _softmax,
    aten._log_softmax: _softmax,
    aten.embedding: _embedding,
    aten.new_zeros: _made_anew,
    aten.new_ones: _made_anew,
    aten.new_full: _made_anew,
    aten.new_empty: _made_anew,
    aten.max_pool2d_with_indices: _spatial(2),
    aten.avg_pool2d: _spatial(2),
    aten._adaptive_avg_pool2d: _spatial(2),
    aten.adaptive_max_pool2d: _spatial(2),
    aten.upsample_nearest1d: _spatial(1),
    aten.upsample_nearest2d: _spatial(2),
    aten.upsample_bilinear2d: _spatial(2),
    aten.max_pool3d_with_indices: _spatial(3),
    aten.avg_pool3d: _spatial(3),
    aten._adaptive_avg_pool3d: _spatial(3),
    aten.adaptive_max_pool3d: _spatial(3),
    **VIEWS,
}
