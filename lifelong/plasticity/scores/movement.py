"""Scores that compare weights with their earlier values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from lifelong.errors import unknown
from lifelong.plasticity.moment import Moment
from lifelong.plasticity.scores.base import SynapseScore, UnitScore
from lifelong.plasticity.weights import along_units
from lifelong.structure import Change, Role

Since = Literal["first", "last"]
"""Says what weights are compared with: their values after the first update seen, or when the score was last asked."""

_SINCE: tuple[Since, ...] = ("first", "last")


@dataclass
class Drift(UnitScore):
    """Scores a unit by the Euclidean distance of its fan-in from its earlier value. Biases do not count.

    Units that have hardly moved come first. With `-Drift()` those that have moved most come first, as DEN splits them
    (Yoon et al. 2018, arXiv:1708.01547). With `since="last"` and a rule that acts once for each task, it is the drift
    within a task. New units and new synapses are compared with their values after their first update.

    Args:
        since: `first` compares with the values after the first update seen, `last` with those when it was last asked.

    Raises:
        UsageError: if it is neither.
    """

    since: Since = "first"
    anchors: dict[str, Tensor] = field(default_factory=dict, init=False, repr=False)
    _new: set[str] = field(default_factory=set, init=False, repr=False)

    def __post_init__(self) -> None:
        _check_since(self.since)

    @torch.no_grad()
    def observe(self, moment: Moment, layer: str) -> None:
        for slot in moment.layer(layer).slots_of(Role.FAN_IN, Role.TIED):
            weight = moment.structure.network.get_parameter(slot.tensor)
            if slot.tensor not in self.anchors:
                self.anchors[slot.tensor] = weight.detach().clone()
            # NaN marks weights that a change has brought in: their first update is this one.
            elif slot.tensor in self._new:
                anchor = self.anchors[slot.tensor].to(weight)
                self.anchors[slot.tensor] = torch.where(anchor.isnan(), weight, anchor)
            self._new.discard(slot.tensor)

    @torch.no_grad()
    def __call__(self, moment: Moment, layer: str) -> Tensor:
        layer_now = moment.layer(layer)
        total = torch.zeros(layer_now.units)
        for slot in layer_now.slots_of(Role.FAN_IN, Role.TIED):
            weight = moment.structure.network.get_parameter(slot.tensor)
            # A weight of which nothing has been seen yet has not moved.
            moved = weight - self.anchors.get(slot.tensor, weight).to(weight)
            total = total.to(weight) + along_units(slot, moved.nan_to_num(0.0).square())
            if self.since == "last":
                self.anchors[slot.tensor] = weight.detach().clone()
        return total.sqrt()

    def carry(self, change: Change) -> None:
        self.anchors = change.carry(self.anchors, torch.nan)
        self._new.update(self.anchors)  # which of them hold NaN is looked up at the next update

    def forget(self) -> None:
        self.anchors.clear()
        self._new.clear()


@dataclass
class SignFlip(SynapseScore):
    """Scores a synapse by its weight times its earlier sign: 0 or below if the weight has reached or crossed zero.

    `Below(SignFlip(), 0)` selects the synapses that die in deep rewiring (Bellec et al. 2018, arXiv:1711.05136), which
    prunes a synapse when its weight changes sign. A synapse that starts at zero has no sign; the paper draws one at
    random. Here it gets the sign of its weight when the score is asked, and is not chosen before it has one. That is
    our choice.

    Args:
        since: `first` takes the sign after the first update seen, `last` the sign when the score was last asked.

    Raises:
        UsageError: if it is neither.
    """

    since: Since = "first"

    def __post_init__(self) -> None:
        _check_since(self.since)

    def observe(self, moment: Moment, weight: str) -> None:
        signs = self.state.setdefault("sign", {})
        if weight not in signs:
            signs[weight] = moment.structure.network.get_parameter(weight).detach().sign()

    def __call__(self, moment: Moment, weight: str) -> Tensor:
        self.observe(moment, weight)
        value = moment.structure.network.get_parameter(weight).detach()
        now, held = value.sign(), self.state["sign"][weight].to(value)
        sign = torch.where(held == 0, now, held)
        self.state["sign"][weight] = torch.where(now == 0, sign, now) if self.since == "last" else sign
        # The least positive number keeps a synapse without a sign above every threshold of 0.
        return torch.where(sign == 0, torch.finfo(value.dtype).tiny, value * sign)


def _check_since(since: str) -> None:
    if since not in _SINCE:
        raise unknown("since", since, _SINCE)
