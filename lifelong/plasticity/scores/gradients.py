"""Scores that read the gradients of an update.

They read the gradients that the optimizer was given: those of the batch's mean loss, with the penalties of other
plug-ins. A weight without a gradient (in a head that is not in use) counts as if its gradient were zero. Where a
gradient is multiplied by a weight, it is the weight after the update. A pruned synapse has a gradient too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from lifelong.plasticity.moment import Moment
from lifelong.plasticity.scores.running import MeanOfSynapses, MeanOfUnits
from lifelong.plasticity.weights import sum_by_unit, weights_of_unit
from lifelong.structure import Role


@dataclass
class GradientNorm(MeanOfUnits):
    """Scores a unit by the mean absolute gradient of its fan-in; at least 0.

    With `Below(GradientNorm(), 0.01, relative=True)` it is the criterion of ReGraMa, as others describe it.

    Args:
        decay: the decay of the running mean, see `MeanOfUnits`; by default the last update alone counts.
    """

    def measure(self, moment: Moment, layer: str) -> Tensor:
        layer_now, network = moment.layer(layer), moment.structure.network
        return sum_by_unit(network, layer_now, _size, Role.FAN_IN) / weights_of_unit(network, layer_now, Role.FAN_IN)


@dataclass
class Taylor(MeanOfUnits):
    """Scores a unit by the sum of `|gradient x weight|` over its fan-in; at least 0.

    To first order, this is how much the loss changes if its weights are taken out one by one. It follows Molchanov et
    al. (2019, arXiv:1906.10771), who sum squares; to sum absolute values is our choice. Biases do not count.

    Args:
        decay: the decay of the running mean, see `MeanOfUnits`.
    """

    decay: float = 0.9

    def measure(self, moment: Moment, layer: str) -> Tensor:
        return sum_by_unit(moment.structure.network, moment.layer(layer), _effect, Role.FAN_IN)


@dataclass
class Fisher(MeanOfUnits):
    """Scores a unit by the sum over its fan-in of the running mean of the squared gradient; at least 0.

    The gradient is that of a batch's mean loss, not that of single samples. With n samples in a batch the score is
    about 1/n of the empirical Fisher information near a minimum, and more elsewhere.

    Args:
        decay: the decay of the running mean, see `MeanOfUnits`.
    """

    decay: float = 0.99

    def measure(self, moment: Moment, layer: str) -> Tensor:
        return sum_by_unit(moment.structure.network, moment.layer(layer), _square, Role.FAN_IN)


@dataclass
class SynapseGradient(MeanOfSynapses):
    """Scores a synapse by its absolute gradient.

    Args:
        decay: the decay of the running mean, see `MeanOfUnits`; by default the last update alone counts, as in RigL
            (Evci et al. 2020, arXiv:1911.11134).
    """

    def measure(self, moment: Moment, weight: str) -> Tensor:
        return _measured(moment, weight, _size)


@dataclass
class SynapseTaylor(MeanOfSynapses):
    """Scores a synapse by `|gradient x weight|`: to first order, how much the loss changes if it is removed.

    This is the connection sensitivity of SNIP (Lee et al. 2019, arXiv:1810.02340), up to a constant factor.

    Args:
        decay: the decay of the running mean, see `MeanOfUnits`; by default the last update alone counts.
    """

    def measure(self, moment: Moment, weight: str) -> Tensor:
        return _measured(moment, weight, _effect)


@dataclass
class SynapseFisher(MeanOfSynapses):
    """Scores a synapse by the running mean of its squared gradient, which is that of a batch's mean loss, see `Fisher`.

    Args:
        decay: the decay of the running mean, see `MeanOfUnits`.
    """

    decay: float = 0.99

    def measure(self, moment: Moment, weight: str) -> Tensor:
        return _measured(moment, weight, _square)


def _size(parameter: Tensor) -> Tensor | None:
    """Return |gradient|, of the parameter's shape; None if it has no gradient."""
    return None if parameter.grad is None else parameter.grad.abs()


def _effect(parameter: Tensor) -> Tensor | None:
    """Return |gradient x weight|, of the parameter's shape; None if it has no gradient."""
    return None if parameter.grad is None else (parameter.grad * parameter.detach()).abs_()


def _square(parameter: Tensor) -> Tensor | None:
    """Return the squared gradient, of the parameter's shape; None if it has no gradient."""
    return None if parameter.grad is None else parameter.grad.square()


def _measured(moment: Moment, weight: str, of: Callable[[Tensor], Tensor | None]) -> Tensor:
    """Return a function of a weight, of its shape; zeros if it has no gradient."""
    parameter = moment.structure.network.get_parameter(weight)
    values = of(parameter)
    return torch.zeros_like(parameter, requires_grad=False) if values is None else values
