"""A score by how similar a unit is to another one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from lifelong.errors import UsageError
from lifelong.plasticity.moment import Moment
from lifelong.plasticity.scores.base import UnitScore


@dataclass
class Redundancy(UnitScore):
    """Scores a unit by one minus its largest absolute correlation with another unit, in [0, 1].

    The score is 0 where another unit does the same.

    `Below(Redundancy(), 0.05)` selects units that correlate by .95 or more with another one. It selects both units of a
    pair, so use `Merge`, or remove one at a time (`Lowest(Redundancy(), count=1)`). Anticorrelated units count as well,
    because each can be computed from the other. A unit that does not vary correlates with none.

    To find near duplicates by correlation on the last batch is our choice: the publications that merge similar units
    (Wagarachchi & Karunananda 2017) find them in other ways, or do not say how.

    Args:
        samples: how many samples of the last batch (or places of its images) are looked at, spread evenly; at least 2.

    Raises:
        UsageError: if `samples` is below 2.
    """

    samples: int = 1024
    watches: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.samples < 2:
            raise UsageError(f"Redundancy: samples = {self.samples}; a correlation takes 2 at least")

    def observe(self, moment: Moment, layer: str) -> None:
        activations = moment.activations(layer)
        # Rounded up, so that at most `samples` are taken.
        step = -(-len(activations) // self.samples)
        # Copied, because a view would keep the whole batch alive; turned, because `state` has units first.
        self.state[layer] = {"said": activations[::step].clone().t()}

    def __call__(self, moment: Moment, layer: str) -> Tensor:
        held = self.state.get(layer)
        if not held:
            return torch.ones(moment.layer(layer).units)
        return 1 - correlations(held["said"].t()).fill_diagonal_(0).abs().amax(1)


def correlations(activations: Tensor) -> Tensor:
    """Compute the correlation of each unit with each other one.

    Args:
        activations: of shape (samples, units).

    Returns:
        Correlations in [-1, 1], of shape (units, units); 0 for a unit that does not vary.

    >>> correlations(torch.tensor([[1.0, -2.0, 7.0], [2.0, -4.0, 7.0], [3.0, -6.0, 7.0]])).round()
    tensor([[ 1., -1.,  0.],
            [-1.,  1.,  0.],
            [ 0.,  0.,  0.]])
    """
    centred = activations - activations.mean(0)
    norm = centred.norm(dim=0)
    # Rounding errors of a constant unit are no variation.
    varies = norm > 1e-6 * activations.norm(dim=0)
    scaled = torch.where(varies, centred / norm, 0)
    return (scaled.t() @ scaled).clamp(-1, 1)


def pairs(correlation: Tensor, least: float) -> list[list[int]]:
    """Find disjoint pairs of units with a high correlation, the highest first.

    Only positive correlations count, because only then do the mean of the fan-in and the sum of the fan-out replace
    both units.

    Args:
        correlation: symmetric, of shape (units, units).
        least: the least correlation of a pair, in (0, 1].

    Returns:
        The numbers of the two units of each pair.

    >>> pairs(torch.tensor([[1.0, 0.96, 0.99], [0.96, 1.0, 0.97], [0.99, 0.97, 1.0]]), least=0.95)
    [[0, 2]]
    """
    above = correlation.triu(1)  # each pair once, and no unit with itself
    first, second = (above >= least).nonzero(as_tuple=True)
    order = above[first, second].argsort(descending=True, stable=True)
    taken: set[int] = set()
    disjoint = []
    for one, other in zip(first[order].tolist(), second[order].tolist(), strict=True):
        if not taken & {one, other}:
            taken |= {one, other}
            disjoint.append([one, other])
    return disjoint
