"""Strategies that keep a network able to learn by letting single units, or single weights, start again.

A unit that starts again has a fan-in drawn anew, no fan-out, and fresh optimizer state: Adam's bias correction counts
from its restart. Strategies that act on all weights are in `plasticity`. `random-reset` in `controls` is the control of
all of these.

The papers train for far longer than a small board does, and act more rarely. Rates and periods are our choice where the
text does not say otherwise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from annotated_types import Ge

from lifelong.contracts import Count, Positive, Share, Weight, strategy
from lifelong.errors import UsageError

if TYPE_CHECKING:
    from avalanche.training.templates import SupervisedTemplate

    from lifelong import Setup

Age = Annotated[int, Ge(0)]
"""An age in updates, 0 or more."""


@strategy(source="Dohare et al. 2024, Loss of plasticity in deep continual learning, Nature 632, Algorithm 1")
def continual_backprop(
    setup: Setup,
    rate: Share = 1e-4,
    mature: Age = 100,
    decay: Share = 0.99,
    utility: Literal["paper", "mean-corrected", "adaptable"] = "paper",
) -> SupervisedTemplate:
    """Continual backpropagation: at each step, let a very small share of the least useful units start again.

    Each layer adds up `rate` times its mature units; whenever that reaches one, its least useful mature unit starts
    again. The maturity and the decay are the paper's, and the rate is of the order of its rates for MNIST and ImageNet.
    A unit's utility is a running mean over steps, corrected by its age.

    The paper and its code define utility differently. In the text it is |h| times the sum of the unit's absolute
    outgoing weights. In the code, `zero_contribution` is |h - its running mean| times the mean of the absolute outgoing
    weights. `adaptable_contribution`, which the configurations for MNIST and ImageNet use, is that divided by the mean
    of the absolute incoming weights.

    Biases of new units are drawn; the code sets them to zero. The code also tries to let the next layer's bias make up
    for a unit that goes, but has forgotten the unit's mean by then, so it has no effect. The text has no such step, and
    neither have we.

    Args:
        rate: units replaced at each step, as a share of the mature ones; above 0.
        mature: number of steps for which a unit is left alone after its (re)start.
        decay: decay of the running mean, below 1; 0 takes the last batch alone, as the code's layer for convolutions
            does.
        utility: `paper` for the text's utility, or one of the code's: `mean-corrected` for `zero_contribution`,
            `adaptable` for `adaptable_contribution`.
    """
    from lifelong.plasticity import Contribution, Every, Plasticity, Rate, Reset, Rule

    score = Contribution(decay, "raw" if utility == "paper" else utility)
    return setup.naive(Plasticity(Rule(when=Every(steps=1), what=Reset(), which=Rate(score, rate, mature))))


@strategy(source="Sokar et al. 2023, The Dormant Neuron Phenomenon in Deep Reinforcement Learning, arXiv:2302.12902")
def redo(setup: Setup, steps: Count = 100, tau: Weight = 0.025) -> SupervisedTemplate:
    """ReDo: now and then, let units that are hardly active start again.

    A unit is dormant if its mean |activation| is at most tau times the mean over its layer. The paper looks every 1000
    steps, with tau from 0.025 to 0.1. The means are those of the last batch of training.

    Args:
        steps: number of steps from one look to the next.
        tau: the threshold, relative to the layer's mean.
    """
    from lifelong.plasticity import Below, Every, MeanActivation, Plasticity, Reset, Rule

    dormant = Below(MeanActivation(), tau, relative=True)
    return setup.naive(Plasticity(Rule(when=Every(steps=steps), what=Reset(), which=dormant)))


@strategy(
    source="Farias & Jozefiak 2024, Self-Normalized Resets for Plasticity in Continual Learning, arXiv:2410.20098"
)
def self_normalised_resets(
    setup: Setup, eta: Positive = 0.08, window: Count = 100, cap: Count = 200
) -> SupervisedTemplate:
    """Self-normalised resets: let a unit start again that has been silent for longer than it is used to.

    A unit's silence is too long when it reaches the (1 - eta) percentile of its own silences so far. That percentile is
    computed anew from time to time. Where it is not less than the threshold so far, the threshold doubles (see
    `patience.Patience`). The paper counts samples, we count updates. Units must be able to be exactly silent, such as
    those behind ReLU; other networks are refused.

    Args:
        eta: the share of a unit's silences that may count as too long, below 1.
        window: number of updates after which the thresholds are set anew.
        cap: the largest threshold, in updates, which is also the first one.
    """
    from lifelong.plasticity import Below, Every, Plasticity, Reset, Rule

    from .patience import Patience

    if eta >= 1:
        raise UsageError(f"self-normalised-resets: eta = {eta:g} is not in (0, 1); the nearest is 0.99")
    too_long = Below(Patience(eta, window, cap), 0)
    return setup.naive(Plasticity(Rule(when=Every(steps=1), what=Reset(), which=too_long)))


@strategy(
    source="Liu et al. 2025, Measure gradients, not activations! Enhancing neuronal activity in deep reinforcement "
    "learning, arXiv:2505.24061",
    version=2,
)
def regrama(setup: Setup, steps: Count = 100, tau: Weight = 0.01) -> SupervisedTemplate:
    """ReGraMa: now and then, let the units start again whose weights get hardly any gradient.

    A unit is inactive if the mean absolute gradient of its fan-in is at most tau times the mean over its layer. Unlike
    activations, gradients tell saturated units from useful ones. Its fan-in and its bias are drawn anew, and its
    fan-out is kept: without one it would get no gradient, and be inactive again at the next look. The state that the
    optimizer has of all these weights starts again. We know paper and code from descriptions by others.

    Args:
        steps: number of steps from one look to the next.
        tau: the threshold, relative to the layer's mean.
    """
    from lifelong.plasticity import Below, Every, GradientNorm, Plasticity, Reset, Rule
    from lifelong.structure import KeepFanOut

    inactive = Below(GradientNorm(), tau, relative=True)
    return setup.naive(Plasticity(Rule(when=Every(steps=steps), what=Reset(KeepFanOut()), which=inactive)))


@strategy(
    source="Hernandez-Garcia et al. 2025, Reinitializing weights vs units for maintaining plasticity in neural "
    "networks, CoLLAs, arXiv:2508.00212"
)
def selective_weight_reinitialisation(
    setup: Setup,
    steps: Count = 100,
    share: Share = 0.01,
    utility: Literal["gradient", "magnitude"] = "gradient",
) -> SupervisedTemplate:
    """Selective weight reinitialisation: now and then, draw the least useful single weights anew.

    It does to weights what continual backpropagation does to units, and is meant for small layers and for those with
    layer normalisation. In each weight matrix of the hidden layers, the share of weights with the least utility is
    drawn anew from the distribution of the first weights. Utility is |w|, or |g w| on the last batch. The paper treats
    the output layer and biases likewise; we do not.

    Args:
        steps: number of steps from one time to the next.
        share: share of each weight matrix that is drawn anew, above 0; rounded down.
        utility: `gradient` for |g w|, `magnitude` for |w|.
    """
    from lifelong.plasticity import Every, Lowest, Magnitude, Plasticity, ResetSynapses, Rule, SynapseTaylor

    score = SynapseTaylor() if utility == "gradient" else Magnitude()
    return setup.naive(
        Plasticity(Rule(when=Every(steps=steps), what=ResetSynapses(), which=Lowest(score, share=share)))
    )
