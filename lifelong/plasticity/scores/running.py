"""Base classes of scores that are running means over updates."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from lifelong.errors import UsageError
from lifelong.plasticity.moment import Moment
from lifelong.plasticity.scores.base import SynapseScore, UnitScore


@dataclass
class MeanOfUnits(UnitScore):
    """Averages over updates a number that is measured for each unit: u <- decay u + (1 - decay) value.

    The score is u / (1 - decay^n), where n counts the updates since the unit was born. Adam corrects its means in this
    way, and continual backpropagation does so by a unit's age. So the score of a young unit is not low only because it
    is young. A unit of which nothing has been seen has the score 0.

    Args:
        decay: the decay of the running mean, in [0, 1); with 0 the last update alone counts.

    Raises:
        UsageError: if the decay is out of range.
    """

    decay: float = 0.0

    def __post_init__(self) -> None:
        check_decay(self)

    @abstractmethod
    def measure(self, moment: Moment, layer: str) -> Tensor:
        """Return the number for each unit at this update, of shape (units,)."""

    def observe(self, moment: Moment, layer: str) -> None:
        # Measured before it is counted: a measure may read this state, as `Contribution` does.
        held = self.state.setdefault(layer, {})
        value = self.measure(moment, layer)
        mean_in(held, "mean", value, self.decay)
        # Counted for each unit, because a change starts single units anew, with a count of 0.
        held.setdefault("seen", torch.zeros_like(value)).add_(1)

    def __call__(self, moment: Moment, layer: str) -> Tensor:
        held = self.state.get(layer)
        return corrected(held["mean"], held["seen"], self.decay) if held else torch.zeros(moment.layer(layer).units)


@dataclass
class MeanOfSynapses(SynapseScore):
    """Averages over updates a number that is measured for each synapse, as `MeanOfUnits` does for units.

    A synapse that is created again starts anew.

    Args:
        decay: the decay of the running mean, in [0, 1); with 0 the last update alone counts.

    Raises:
        UsageError: if the decay is out of range.
    """

    decay: float = 0.0

    def __post_init__(self) -> None:
        check_decay(self)

    @abstractmethod
    def measure(self, moment: Moment, weight: str) -> Tensor:
        """Return the number for each synapse at this update, of the weight's shape."""

    def observe(self, moment: Moment, weight: str) -> None:
        value = self.measure(moment, weight)
        mean_in(self.state.setdefault("mean", {}), weight, value, self.decay)
        # Without a decay there is nothing to correct: synapses are many, and a count would be as large as the weight.
        if self.decay:
            self.state.setdefault("seen", {}).setdefault(weight, torch.zeros_like(value)).add_(1)

    def __call__(self, moment: Moment, weight: str) -> Tensor:
        if weight not in self.state.get("mean", {}):
            return torch.zeros_like(moment.structure.network.get_parameter(weight), requires_grad=False)
        mean = self.state["mean"][weight]
        return corrected(mean, self.state["seen"][weight], self.decay) if self.decay else mean


def mean_in(held: dict[str, Tensor], name: str, value: Tensor, decay: float) -> Tensor:
    """Let a running mean, which begins at 0, take note of a value.

    Args:
        held: running means by name; the one of this name is changed in place.
        name: the name of the mean.
        value: the value; without a decay the tensor itself is kept, so do not change it afterwards.
        decay: the weight of what came before, in [0, 1).

    Returns:
        The running mean, not corrected, of the value's shape.
    """
    # Without a decay the mean is the last value: no second tensor is needed.
    if not decay:
        held[name] = value
        return value
    return held.setdefault(name, torch.zeros_like(value)).lerp_(value, 1 - decay)


def corrected(mean: Tensor, seen: Tensor, decay: float) -> Tensor:
    """Correct a running mean for having begun at 0.

    Args:
        mean: running means, of any shape.
        seen: how many values each of them has seen, of the same shape.
        decay: the decay of the means, in [0, 1).

    Returns:
        mean / (1 - decay^seen), and 0 where nothing was seen; of the same shape.

    >>> corrected(torch.tensor([0.5, 0.75, 0.0]), torch.tensor([1.0, 2.0, 0.0]), decay=0.5)
    tensor([1., 1., 0.])
    """
    # Where nothing was seen the divisor would be 0; 1 leaves the mean at 0.
    return mean / (1 - decay**seen).masked_fill(seen == 0, 1)


def check_decay(score: MeanOfUnits | MeanOfSynapses) -> None:
    """Refuse a decay outside [0, 1).

    Raises:
        UsageError: if it is outside; the message names the nearest valid one.
    """
    if not 0 <= score.decay < 1:
        nearest = 0.999 if score.decay >= 1 else 0
        raise UsageError(f"{type(score).__name__}: decay = {score.decay} is not in [0, 1); the nearest is {nearest}")
