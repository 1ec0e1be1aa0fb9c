"""An operator that merges units that do nearly the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from lifelong.errors import UsageError, unknown
from lifelong.plasticity.candidates import free_units
from lifelong.plasticity.moment import Moment
from lifelong.plasticity.operators.base import Operator, Outcome
from lifelong.plasticity.scores.redundancy import Redundancy, correlations, pairs
from lifelong.structure import Role, Structure, merge_units


@dataclass
class Merge(Operator):
    """Makes one unit of each pair of near duplicates, with the mean of their fan-in and the sum of their fan-out.

    Wagarachchi & Karunananda (2017) merge near duplicates. How duplicates are found, and the mean and the sum, are our
    choice. A unit is in one pair at most, and the most similar pairs come first: of three similar units, two are merged
    now and the third at the next firing. Frozen units are left as they are. One unit of each pair stays, so that no
    layer becomes empty.

    Args:
        least: the least similarity of a pair, in (0, 1].
        by: how similarity is measured: by the correlation of `activations` over the last batch (a unit that does not
            vary has no duplicate), or by the cosine of the `fan-in` and bias, which needs no batch.

    Raises:
        UsageError: if an argument is out of range.
    """

    least: float = 0.95
    by: Literal["activations", "fan-in"] = "activations"
    selects: ClassVar[str | None] = None

    def __post_init__(self) -> None:
        if not 0 < self.least <= 1:
            raise UsageError(
                f"Merge: least = {self.least} is not in (0, 1]; the nearest is {max(0.01, min(self.least, 1.0))}"
            )
        if self.by not in ("activations", "fan-in"):
            raise unknown("way to find duplicates", self.by, ("activations", "fan-in"))
        self.score = Redundancy() if self.by == "activations" else None

    def attempt(self, structure: Structure, name: str) -> None:
        if structure.layer(name).units > 1:
            merge_units(structure, name, [[0, 1]])

    def apply(self, moment: Moment, name: str, chosen: Tensor) -> Outcome | None:
        del chosen
        if self.score is None:
            alike = _cosines(moment, name)
        elif name in self.score.state:
            alike = correlations(self.score.state[name]["said"].t())
        else:
            return Outcome(None, 0, "before the first update no activations are known")
        # `least` is above 0, so that a similarity of 0 keeps a frozen unit out of every pair.
        held = ~free_units(moment, name).to(alike.device)
        duplicates = pairs(alike.masked_fill(held | held[:, None], 0), self.least)
        return Outcome(merge_units(moment.structure, name, duplicates), len(duplicates)) if duplicates else None


def _cosines(moment: Moment, layer: str) -> Tensor:
    """Return the cosine of each unit's fan-in and bias with each other unit's, in [-1, 1], of shape (units, units).

    It is 0 for a unit whose fan-in and bias are all zero.
    """
    layer_now, network = moment.layer(layer), moment.structure.network
    # The bias of the layer itself counts; what a normalisation behind it holds for each unit does not.
    readers = {slot.module for slot in layer_now.slots_of(Role.FAN_IN)}
    parts = []
    for slot in layer_now.slots_of(Role.FAN_IN, Role.OWN):
        if slot.module in readers and slot.tensor in dict(network.named_parameters()):
            parameter = network.get_parameter(slot.tensor).detach()
            rows = parameter.index_select(slot.dim, slot.positions.flatten().to(parameter.device))
            parts.append(rows.movedim(slot.dim, 0).reshape(layer_now.units, -1))
    weights = torch.cat(parts, dim=1)
    norm = weights.norm(dim=1, keepdim=True)
    scaled = torch.where(norm > 0, weights / norm, 0)
    return scaled @ scaled.t()
