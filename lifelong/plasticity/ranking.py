"""The lowest scores of one layer, or of several layers together."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor


def lowest(scores: Mapping[str, Tensor], free: Mapping[str, Tensor], count: int | None = None) -> dict[str, Tensor]:
    """Find the lowest scores of all layers together, among those that are free.

    Args:
        scores: the scores of each layer, of any shape.
        free: which of them may be chosen: bool, of the same shapes.
        count: how many to choose; by default all that are free.

    Returns:
        For each layer, positions in its flattened scores, int64, the lowest score first. Of equal scores the first one
        is taken.

    >>> scores = {"one": torch.tensor([3.0, 1.0, 4.0]), "two": torch.tensor([2.0, 9.0])}
    >>> free = {"one": torch.tensor([True, True, True]), "two": torch.tensor([True, True])}
    >>> lowest(scores, free, count=3)
    {'one': tensor([1, 0]), 'two': tensor([0])}
    """
    places = {name: free[name].to(score.device).flatten().nonzero().flatten() for name, score in scores.items()}
    # All layers are ranked in one row, behind each other, so that one order holds for all of them.
    values = torch.cat([scores[name].flatten()[place] for name, place in places.items()])
    order = _first(values, len(values) if count is None else count)
    chosen, start = {}, 0
    for name, place in places.items():
        # This layer's part of the row, still in the common order.
        mine = order[(order >= start) & (order < start + len(place))]
        chosen[name] = place[mine - start]
        start += len(place)
    return chosen


def _first(values: Tensor, count: int) -> Tensor:
    """Return where the lowest values lie, the lowest first, of equal ones the first.

    Only as many as are needed are sorted, because there may be millions of synapses.

    Args:
        values: of shape (n,).
        count: how many are wanted.
    """
    if 0 < count < len(values):
        # All up to the edge, with all that are equal to it: the stable sort then decides among these.
        near = (values <= values.kthvalue(count).values).nonzero().flatten()
        if len(near) >= count:  # fewer where the edge is NaN, to which nothing compares; then all are sorted
            return near[values[near].argsort(stable=True)[:count]]
    return values.argsort(stable=True)[:count]
