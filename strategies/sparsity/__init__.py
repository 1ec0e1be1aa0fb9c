"""Strategies that make a network smaller or sparser, whatever it has learnt."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifelong.contracts import Count, Positive, Share, Weight, strategy
from lifelong.errors import UsageError

if TYPE_CHECKING:
    from avalanche.training.templates import SupervisedTemplate

    from lifelong import Setup


@strategy(
    source="Wagarachchi & Karunananda 2017, Optimization of Artificial Neural Network Architecture Using "
    "Neuroplasticity, IJAI 15(1)",
    needs={"task boundaries"},
)
def merge_similar(
    setup: Setup, least: Share = 0.95, rise: Weight = 0.01, tolerance: Positive = 0.01
) -> SupervisedTemplate:
    """Merge similar: once training has converged, take out idle layers, and merge neurons that act alike.

    The paper looks for the number of layers that generalises best, removes neurons whose errors correlate least with
    that of the output, and merges similar ones. Ours takes out a layer if the loss on the last batch hardly rises
    without it. It merges pairs of neurons whose activations on that batch correlate, into one with the mean of their
    fan-in and the sum of their fan-out. The search over depths and the second step are left out. All numbers are our
    choice. Nothing is ever added.

    Args:
        least: the least correlation of activations with which two neurons are similar, above 0.
        rise: the largest rise of the loss, relative to it, with which a layer does not matter.
        tolerance: the largest difference between the smoothed losses of two epochs that counts as convergence.
    """
    from lifelong.plasticity import Converged, Merge, Plasticity, Rule

    from .layers import RemoveUnimportant

    return setup.naive(
        Plasticity(
            Rule(when=Converged(tolerance, relative=False), what=RemoveUnimportant(rise)),
            Rule(when=Converged(tolerance, relative=False), what=Merge(least)),
        )
    )


@strategy(
    source="Huang et al. 2023, Neurogenesis Dynamics-inspired Spiking Neural Network Training Acceleration, "
    "arXiv:2304.12214"
)
def drop_and_grow(
    setup: Setup,
    initial: Share = 0.5,
    final: Share = 0.9,
    exchange: Share = 0.3,
    interval: Count = 20,
    until: Count = 300,
) -> SupervisedTemplate:
    """Drop and grow: every so many updates drop the smallest weights, and grow fewer, where the gradient is largest.

    The paper trains sparse spiking networks (NDSNN); this is its rule on our networks. The network begins sparse, and
    the number of weights that are not zero shrinks along a cubic. Grown weights begin at zero, and weights that were
    just dropped are not grown again at once. All numbers are our choice. So is that the share that is dropped stays the
    same, that all hidden layers are equally sparse, that the output layer stays dense, and that the exchange of weights
    goes on after the final sparsity is reached.

    Args:
        initial: sparsity of each hidden layer from the first update on, in (0, 1).
        final: sparsity in the end, above the initial one and below 1.
        exchange: share of the weights that are not zero that is dropped at a time, in (0, 1).
        interval: number of updates between two exchanges.
        until: number of the update at which the final sparsity is reached.
    """
    from lifelong.plasticity import (
        AtSteps,
        CreateSynapses,
        Cubic,
        Every,
        Lowest,
        Magnitude,
        Plasticity,
        PruneSynapses,
        Rule,
        SynapseGradient,
        SynapseRandom,
    )

    if not 0 < initial < final < 1:
        raise UsageError(f"drop-and-grow: 0 < initial = {initial} < final = {final} < 1 does not hold; try 0.5 and 0.9")
    if not 0 < exchange < 1:
        raise UsageError(f"drop-and-grow: exchange = {exchange} is not in (0, 1); the default is 0.3")
    living = Cubic(1 - final, until, initial=1 - initial)
    return setup.naive(
        Plasticity(
            Rule(when=AtSteps([1]), what=PruneSynapses(), which=Lowest(SynapseRandom(), share=initial)),
            Rule(when=Every(steps=interval), what=PruneSynapses(), which=Lowest(Magnitude(), share=exchange)),
            Rule(when=Every(steps=interval), what=CreateSynapses(), which=Lowest(-SynapseGradient(), target=living)),
        )
    )
