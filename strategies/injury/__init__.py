"""Strategies that take layers out of a network while it learns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifelong.contracts import Count, strategy
from lifelong.errors import UsageError

if TYPE_CHECKING:
    from avalanche.training.templates import SupervisedTemplate

    from lifelong import Setup


@strategy(
    source="Camacho et al. 2022, Neuroplasticity-Based Pruning Method for Deep Convolutional Neural Networks, "
    "Applied Sciences 12(10), 4945",
    needs={"task boundaries"},
)
def injure_and_translate(
    setup: Setup, origin: str = "", destination: str = "", experience: Count = 2
) -> SupervisedTemplate:
    """Injure and translate: delete the layers between two others, bridge the gap, and retrain the whole network.

    As in the paper, the user says where. The identity replaces a deleted layer. Where the layer returned another shape
    than it read, a translator replaces it: pooling to the height and width, and a convolution of kernel size 1 (a
    linear layer for flat features) with random weights. The paper has one translator for the whole gap, we have one for
    each such layer; activations and pooling between the layers stay. Of layers that write to one residual stream, only
    the first is deleted. When it happens is our choice; the paper trains for one task.

    Args:
        origin: name of the module after which layers are deleted; empty for the first layer.
        destination: name of the module up to which they are deleted; empty for the output layer.
        experience: number, counted from 1, of the experience at whose start it happens.
    """
    from lifelong.plasticity import Plasticity, Rule

    from .injure import Arrival, Injure

    if setup.experiences is not None and experience > setup.experiences:
        raise UsageError(f"injure-and-translate: experience = {experience}, but there are {setup.experiences}")
    return setup.naive(Plasticity(Rule(when=Arrival(experience), what=Injure(origin, destination))))
