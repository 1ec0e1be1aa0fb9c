"""Says what operations that only rearrange do with labels: reshaping, transposing, joining, slicing, reducing.

Labels go where their entries go. A feature map of shape (n, 3, 2, 2) has the labels 0, 1, 2 along its channels.
Flattened to (n, 12) it has 0 0 0 0 1 1 1 1 2 2 2 2 along its features, so that the linear layer that reads it joins
four of its columns with each channel. Viewed as (n, 3, 2, 2) again it has 0, 1, 2 along its channels, as before.

Where labels cannot go on, because a place depends on a unit's number (a slice, a flip), or because units are mixed into
one value, they are fixed: the units may then not change.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import prod
from typing import Any

import torch
from torch import Tensor

from lifelong.structure.reading.labels import Axes, Labels

aten = torch.ops.aten


def _reshape(labels: Labels, out: Tensor, args: list[Any], kwargs: dict[str, Any]) -> None:
    x: Tensor = args[0]
    axes: Axes = {}
    for old, new in _blocks(tuple(x.shape), tuple(out.shape)):
        labelled = [dim for dim in old if dim in labels.of(x)]
        if not labelled:
            continue
        spread = None
        # A block with units along two of its dimensions would need one label for each pair of them.
        if len([dim for dim in labelled if x.shape[dim] > 1]) <= 1:
            dim = max(labelled, key=lambda dim: x.shape[dim])
            spread = _spread(labels.of(x)[dim], old, new, dim, x.shape, out.shape)
        if spread:
            axes[spread[0]] = spread[1]
        else:
            sizes = tuple(out.shape[dim] for dim in new)
            for dim in labelled:
                labels.fix(labels.of(x)[dim], f"they are reshaped to {sizes}")
    labels.put(out, axes)


def _spread(
    of_dim: Tensor, old: range, new: range, dim: int, old_shape: torch.Size, new_shape: torch.Size
) -> tuple[int, Tensor] | None:
    """Return the one new dimension along which a block's labels vary, and they; None if they vary along several."""
    # The labels of all of the block's entries, in the order in which they lie in memory.
    outer, inner = prod(old_shape[old.start : dim]), prod(old_shape[dim + 1 : old.stop])
    flat = of_dim.repeat_interleave(inner).repeat(outer)
    sizes = [new_shape[axis] for axis in new]
    if len(sizes) == 1:
        return new.start, flat
    # A dimension that has exactly one place for each label is preferred.
    grid, distinct = flat.view(sizes), len(set(of_dim.tolist()))
    for position in sorted(range(len(sizes)), key=lambda position: sizes[position] != distinct):
        along = grid.movedim(position, 0).flatten(1)
        # Every place along this dimension has one label, whatever its place along the others.
        if distinct <= sizes[position] and bool((along == along[:, :1]).all()):
            return new[position], along[:, 0].contiguous()
    return None


def _blocks(old: tuple[int, ...], new: tuple[int, ...]) -> Iterator[tuple[range, range]]:
    """Return the smallest stretches of dimensions that hold equally many elements before and after.

    >>> list(_blocks((4, 3, 2, 2), (4, 12)))
    [(range(0, 1), range(0, 1)), (range(1, 4), range(1, 2))]
    """
    i = j = 0
    while i < len(old) and j < len(new):
        first, second = i, j
        before, after = old[i], new[j]
        i, j = i + 1, j + 1
        while before != after:
            if before < after:
                before, i = before * old[i], i + 1
            else:
                after, j = after * new[j], j + 1
        yield range(first, i), range(second, j)


def _permute(order: Callable[[list[Any], int], list[int]]) -> Callable[..., None]:
    def rule(labels: Labels, out: Tensor, args: list[Any], kwargs: dict[str, Any]) -> None:
        dims = order(args, args[0].dim())
        labels.put(out, {new: labels.of(args[0])[old] for new, old in enumerate(dims) if old in labels.of(args[0])})

    return rule


def _swapped(args: list[Any], ndim: int) -> list[int]:
    dims = list(range(ndim))
    one, other = (args[1] % ndim, args[2] % ndim) if len(args) > 1 else (0, ndim - 1)
    dims[one], dims[other] = dims[other], dims[one]
    return dims


def _expand(labels: Labels, out: Tensor, args: list[Any], kwargs: dict[str, Any]) -> None:
    shift = out.dim() - args[0].dim()
    axes = {}
    for dim, of_dim in labels.of(args[0]).items():
        if out.shape[dim + shift] == len(of_dim):
            axes[dim + shift] = of_dim
        else:
            labels.fix(of_dim, "a single unit is broadcast over others")
    labels.put(out, axes)


def _unsqueeze(labels: Labels, out: Tensor, args: list[Any], kwargs: dict[str, Any]) -> None:
    at = args[1] % out.dim()
    labels.put(out, {dim + (dim >= at): of_dim for dim, of_dim in labels.of(args[0]).items()})


def _squeeze(labels: Labels, out: Tensor, args: list[Any], kwargs: dict[str, Any]) -> None:
    x = args[0]
    dims = range(x.dim()) if len(args) < 2 else [args[1]] if isinstance(args[1], int) else args[1]
    _without(labels, out, x, {dim % x.dim() for dim in dims if x.shape[dim] == 1}, "a single unit is squeezed away")


def _select(labels: Labels, out: Tensor, args: list[Any], kwargs: dict[str, Any]) -> None:
    _without(labels, out, args[0], {args[1] % args[0].dim()}, "one of them is selected by its number")


def _unbind(labels: Labels, out: Any, args: list[Any], kwargs: dict[str, Any]) -> None:
    dim = args[1] if len(args) > 1 else 0
    for part in out:
        _without(labels, part, args[0], {dim % args[0].dim()}, "they are taken apart")


def _without(labels: Labels, out: Tensor, x: Tensor, gone: set[int], reason: str) -> None:
    axes = {}
    for dim, of_dim in labels.of(x).items():
        if dim in gone:
            labels.fix(of_dim, reason)
        else:
            axes[dim - sum(other < dim for other in gone)] = of_dim
    labels.put(out, axes)


def _reduce(labels: Labels, out: Tensor, args: list[Any], kwargs: dict[str, Any]) -> None:
    x: Tensor = args[0]
    dims = args[1] if len(args) > 1 and args[1] not in (None, []) else range(x.dim())
    gone = {dim % x.dim() for dim in ([dims] if isinstance(dims, int) else dims)}
    if out.dim() < x.dim():
        return _without(labels, out, x, gone, "they are reduced to one value")
    # With keepdim the other dimensions keep their numbers.
    for dim in gone & labels.of(x).keys():
        labels.fix(labels.of(x)[dim], "they are reduced to one value")
    return labels.put(out, {dim: of_dim for dim, of_dim in labels.of(x).items() if dim not in gone})


def _along(position: int, reason: str, default: int | tuple[int, ...] = 0) -> Callable[..., None]:
    """Make a rule for operations that work along one dimension or several (all if none is named), and no others."""

    def rule(labels: Labels, out: Any, args: list[Any], kwargs: dict[str, Any]) -> None:
        x = args[0]
        named = args[position] if len(args) > position else default
        dims = {dim % x.dim() for dim in ([named] if isinstance(named, int) else named or range(x.dim()))}
        for dim in dims & labels.of(x).keys():
            labels.fix(labels.of(x)[dim], reason)
        for part in out if isinstance(out, (list, tuple)) else [out]:
            labels.put(part, {dim: of_dim for dim, of_dim in labels.of(x).items() if dim not in dims})

    return rule


def _slice(labels: Labels, out: Tensor, args: list[Any], kwargs: dict[str, Any]) -> None:
    if out.shape == args[0].shape:  # a slice of everything
        return labels.put(out, labels.of(args[0]))
    return _along(1, "they are cut at fixed places")(labels, out, args, kwargs)


def _same_sizes(labels: Labels, out: Tensor, args: list[Any], kwargs: dict[str, Any]) -> None:
    if out.shape == args[0].shape:
        labels.put(out, labels.of(args[0]))
    else:
        labels.fix_all(args[0], "they are viewed with strides")


def _cat(labels: Labels, out: Tensor, args: list[Any], kwargs: dict[str, Any]) -> None:
    # torch lets an empty tensor of any shape be joined to others.
    parts: list[Tensor] = [part for part in args[0] if part.numel()]
    dim = (args[1] if len(args) > 1 else 0) % out.dim()
    joined = [labels.of(part).get(dim) for part in parts]
    if any(of_dim is None for of_dim in joined):
        # Units next to a tensor without any stay free: its places get labels that nothing else has, and that are fixed.
        joined = [
            labels.placeholder(part.shape[dim]) if of is None else of for part, of in zip(parts, joined, strict=True)
        ]
    axes: Axes = {dim: torch.cat([of_dim for of_dim in joined if of_dim is not None])}
    # Along the other dimensions the parts lie side by side, so that their sizes have to stay equal.
    for other in range(out.dim()):
        of_parts = [labels.of(part)[other] for part in parts if other in labels.of(part)]
        if other == dim or not of_parts:
            continue
        axes[other] = of_parts[0]
        for of_part in of_parts[1:]:
            labels.join(of_parts[0], of_part)
        if len(of_parts) < len(parts):
            labels.fix(of_parts[0], "they are joined with a tensor that cannot change")
    labels.put(out, axes)


def _stack(labels: Labels, out: Tensor, args: list[Any], kwargs: dict[str, Any]) -> None:
    at = (args[1] if len(args) > 1 else 0) % out.dim()
    axes: Axes = {}
    for part in args[0]:
        for dim, of_dim in labels.of(part).items():
            labels.join(axes.setdefault(dim + (dim >= at), of_dim), of_dim)
    labels.put(out, axes)
    if any(labels.of(part).keys() != labels.of(args[0][0]).keys() for part in args[0]):
        labels.fix_all(out, "they are joined with a tensor that cannot change")


def _index(labels: Labels, out: Tensor, args: list[Any], kwargs: dict[str, Any]) -> None:
    """Let rows be chosen from the first dimension, such as a batch's samples of one task; fix units elsewhere."""
    x, indices = args[0], args[1]
    # An index behind the first dimension, or a second one, would pick units by their numbers.
    if len(indices) > 1 or 0 in labels.of(x):
        return labels.fix_all(x, "they are picked by an index")
    shift = out.dim() - x.dim()
    return labels.put(out, {dim + shift: of_dim for dim, of_dim in labels.of(x).items()})


def _index_put(labels: Labels, out: Tensor, args: list[Any], kwargs: dict[str, Any]) -> None:
    labels.fix_all(args[0], "they are written to by an index")
    labels.fix_all(args[2], "they are written into a tensor that cannot change")


def _pad(labels: Labels, out: Tensor, args: list[Any], kwargs: dict[str, Any]) -> None:
    x: Tensor = args[0]
    padded = {x.dim() - 1 - place // 2 for place, size in enumerate(args[1]) if size}
    for dim in padded & labels.of(x).keys():
        labels.fix(labels.of(x)[dim], "they are padded with values that cannot change")
    # aten lists the padding from the last dimension, two numbers for each.
    labels.put(out, {dim: of_dim for dim, of_dim in labels.of(x).items() if dim not in padded})


def _repeat(labels: Labels, out: Tensor, args: list[Any], kwargs: dict[str, Any]) -> None:
    shift = out.dim() - args[0].dim()
    labels.put(out, {dim + shift: of.repeat(args[1][dim + shift]) for dim, of in labels.of(args[0]).items()})


_REDUCTIONS = (aten.mean, aten.sum, aten.amax, aten.amin, aten.var, aten.std, aten.prod)

VIEWS: dict[Any, Callable[..., None]] = {
    aten.view: _reshape,
    aten._unsafe_view: _reshape,
    aten.t: _permute(_swapped),
    aten.transpose: _permute(_swapped),
    aten.permute: _permute(lambda args, ndim: [dim % ndim for dim in args[1]]),
    aten.expand: _expand,
    aten.unsqueeze: _unsqueeze,
    aten.squeeze: _squeeze,
    aten.select: _select,
    aten.slice: _slice,
    aten.unsafe_split: _along(2, "they are cut at fixed places"),
    aten.split: _along(2, "they are cut at fixed places"),
    aten.split_with_sizes: _along(2, "they are cut at fixed places"),
    aten.unbind: _unbind,
    aten.flip: _along(1, "they are put in reverse order"),
    aten.roll: _along(2, "they are shifted", default=()),
    aten.cumsum: _along(1, "they are summed in their order"),
    aten.as_strided_: _same_sizes,
    aten.cat: _cat,
    aten.stack: _stack,
    aten.index: _index,
    aten.index_put_: _index_put,
    aten.index_put: _index_put,
    aten.repeat: _repeat,
    aten.constant_pad_nd: _pad,
    **dict.fromkeys(_REDUCTIONS, _reduce),
}
