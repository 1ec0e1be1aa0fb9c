"""Scores that read the activations of units, and the weights by which these are passed on.

An activation is what the unit's readers were given at an update, in training mode: after the non-linearity and, where
there is one, after normalisation. After a layer normalisation all units look alike, so that these scores tell little
there. A saturated tanh unit has a high activation, so that these scores protect it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple

import torch
from torch import Tensor

from lifelong.errors import unknown
from lifelong.plasticity.moment import Moment
from lifelong.plasticity.scores.running import MeanOfUnits, corrected, mean_in
from lifelong.plasticity.weights import sum_by_unit, weights_of_unit
from lifelong.structure import Role

Variant = Literal["raw", "mean-corrected", "adaptable", "feature by input", "adaptation", "weight"]


@dataclass
class MeanActivation(MeanOfUnits):
    """Scores a unit by its mean absolute activation, over the batch and the places of an image; at least 0.

    With `Below(MeanActivation(), 0.025, relative=True)` it is the dormancy of ReDo (Sokar et al. 2023,
    arXiv:2302.12902), estimated on one batch of training.

    Args:
        decay: the decay of the running mean, see `MeanOfUnits`; by default the last batch alone counts.
    """

    watches: ClassVar[bool] = True

    def measure(self, moment: Moment, layer: str) -> Tensor:
        return moment.activations(layer).abs().mean(0)


class _Form(NamedTuple):
    """Says what a variant multiplies: which activation, whether by the fan-out, whether it divides by the fan-in."""

    activation: Literal["absolute", "centred", None]
    fan_out: bool
    over_fan_in: bool


_FORMS: dict[str, _Form] = {
    "raw": _Form("absolute", True, False),
    "mean-corrected": _Form("centred", True, False),
    "adaptable": _Form("centred", True, True),
    "feature by input": _Form("centred", False, True),
    "adaptation": _Form(None, False, True),
    "weight": _Form(None, True, False),
}


@dataclass
class Contribution(MeanOfUnits):
    """Scores a unit by its utility in continual backpropagation: a running mean over updates, corrected by its age.

    Here h is the unit's activation, and h' its running mean with the same decay and correction; `|h|` and `|h - h'|`
    are means over the batch. out and in are the absolute weights of its fan-out and fan-in:

    - `raw`: `|h| sum(out)`, as in the paper (Dohare et al. 2024, Nature 632, Algorithm 1);
    - `mean-corrected`: `|h - h'| mean(out)`, `zero_contribution` in the authors' code;
    - `adaptable`: `|h - h'| mean(out) / mean(in)`, `adaptable_contribution` in that code. The configurations of the
      published MNIST and ImageNet experiments use it, unlike the paper;
    - `feature by input`: `|h - h'| / mean(in)`;
    - `adaptation`: 1 / mean(in);
    - `weight`: mean(out).

    Sum and mean differ by the number of readers. It is the same for all units of a layer, so that it matters only
    between layers. `CBPLinear` in the authors' code has no running mean, which is `decay=0` here. A unit whose fan-in
    is all zero has an infinite score in the variants that divide by it.

    Args:
        decay: the decay of the running means, in [0, 1); eta in the paper.
        variant: one of the formulas above.

    Raises:
        UsageError: if there is no such variant, or the decay is out of range.
    """

    decay: float = 0.99
    variant: Variant = "raw"
    watches: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.variant not in _FORMS:
            raise unknown("variant", self.variant, _FORMS)

    def measure(self, moment: Moment, layer: str) -> Tensor:
        form, layer_now, network = _FORMS[self.variant], moment.layer(layer), moment.structure.network
        activations = moment.activations(layer)
        # A variant without activations multiplies with 1.
        value = activations.new_ones(layer_now.units)
        if form.activation == "absolute":
            value = activations.abs().mean(0)
        elif form.activation == "centred":
            value = (activations - self._centre(layer, activations)).abs_().mean(0)  # in place, on a fresh tensor
        if form.fan_out:
            # The paper sums the outgoing weights, all of the code's variants average them.
            count = 1 if self.variant == "raw" else weights_of_unit(network, layer_now, Role.FAN_OUT)
            value = value * sum_by_unit(network, layer_now, torch.abs, Role.FAN_OUT) / count
        if form.over_fan_in:
            count = weights_of_unit(network, layer_now, Role.FAN_IN)
            value = value * count / sum_by_unit(network, layer_now, torch.abs, Role.FAN_IN)
        return value

    def _centre(self, layer: str, activations: Tensor) -> Tensor:
        """Return the running mean activation of each unit, the present batch included, of shape (units,)."""
        held, mean = self.state[layer], activations.mean(0)
        # `observe` counts this update only after the measure, hence the one more below.
        seen = held["seen"] if held else torch.zeros_like(mean)
        return corrected(mean_in(held, "activation", mean, self.decay), seen + 1, self.decay)
