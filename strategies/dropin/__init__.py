"""Dropin and dropout of "Neuroplasticity in Artificial Intelligence" (Li et al. 2025), alone and with other methods.

The paper proposes its algorithms without numbers or experiments. Every default here is our choice, and no result of
these strategies is a reproduction.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from lifelong.contracts import Count, Positive, Share, Weight, strategy

if TYPE_CHECKING:
    from avalanche.training.templates import SupervisedTemplate

    from lifelong import Setup
    from lifelong.plasticity import Rule

PAPER = "Li et al. 2025, Neuroplasticity in Artificial Intelligence, arXiv:2503.21419"


@strategy(source=f"{PAPER}, Algorithm 1", needs={"task boundaries", "class labels"})
def dropin(
    setup: Setup,
    share: Share = 0.1,
    tolerance: Positive = 0.01,
    goal: Share = 0.95,
    cooldown: Count = 1,
    cap: Positive = 2.0,
    freeze: bool = False,
) -> SupervisedTemplate:
    """Dropin: add neurons when a task arrives, and when learning has converged short of its goal.

    The paper gives both conditions, and convergence as |L_e - L_{e-1}| < a threshold. How many units, where, how they
    start, and what holds growth back is our choice: a share of each hidden layer's first units, with a fan-in drawn
    anew and no fan-out, so that the network's function is preserved. Loss and accuracy are those of an epoch's training
    batches; the loss is smoothed.

    Args:
        share: share of the units that a layer had at first, rounded up, that is added at a time.
        tolerance: the threshold of convergence, in units of the loss.
        goal: the accuracy below which a converged network is too small.
        cooldown: number of epochs between two growths of a network that has converged.
        cap: the most units of a layer, as a multiple of what it had at first; above 1.
        freeze: whether the units that are there already are frozen when new ones join them.
    """
    from lifelong.plasticity import Plasticity

    return setup.naive(Plasticity(_growth(share, tolerance, goal, cooldown, cap, freeze)))


@strategy(source=f"{PAPER}, Algorithm 2; Srivastava et al. 2014, JMLR 15")
def dropout(setup: Setup, rate: Share = 0.2) -> SupervisedTemplate:
    """Dropout: each hidden activation is zero with a probability p in training, on whatever network there is.

    Algorithm 2 multiplies activations by 1 - p in evaluation. Here the kept activations are multiplied by 1 / (1 - p)
    in training instead, which gives the same network with weights 1 - p times as large. In a convolution each place of
    a channel is dropped on its own. Dropout that the network has itself comes on top.

    Args:
        rate: the probability p, below 1.
    """
    from .hidden_dropout import Dropout

    return setup.naive(Dropout(rate))


@strategy(source=f"{PAPER}, Algorithm 3", needs={"task boundaries", "class labels"})
def neuroplasticity(
    setup: Setup,
    removal: Literal["dropout", "permanent"] = "dropout",
    share: Share = 0.1,
    tolerance: Positive = 0.01,
    goal: Share = 0.95,
    cooldown: Count = 1,
    cap: Positive = 2.0,
    rate: Share = 0.2,
    relevance: Weight = 0.1,
    mature: Count = 20,
) -> SupervisedTemplate:
    """Neuroplasticity: dropin, and apoptosis whenever accuracy has fallen.

    The paper adds up dropin and either dropout or the permanent removal of neurons. Our choices are that apoptosis
    waits until the accuracy on an epoch's training batches is lower than in the epoch before, all numbers, and the
    relevance: mean activation times the absolute weights that read it, relative to the layer's mean.

    Args:
        removal: `dropout` for the next epoch, or the `permanent` removal of irrelevant units.
        share: share of the units that a layer had at first, rounded up, that dropin adds at a time.
        tolerance: the threshold of convergence, in units of the loss.
        goal: the accuracy below which a converged network is too small.
        cooldown: number of epochs between two growths of a network that has converged.
        cap: the most units of a layer, as a multiple of what it had at first; above 1.
        rate: rate of dropout, below 1; used by `dropout` only.
        relevance: a unit is removed if its relevance is at or below this; used by `permanent` only.
        mature: number of updates for which a unit is safe from removal; used by `permanent` only.
    """
    from lifelong.plasticity import Below, Contribution, Mark, Plasticity, Remove, Rule

    from .decreased import Decreased
    from .hidden_dropout import Dropout

    growth = _growth(share, tolerance, goal, cooldown, cap)
    if removal == "permanent":
        irrelevant = Below(Contribution(), relevance, relative=True, mature=mature)
        return setup.naive(Plasticity(growth, Rule(when=Decreased(), what=Remove(), which=irrelevant)))
    plasticity = Plasticity(growth, Rule(when=Decreased(), what=Mark()))
    return setup.naive(plasticity, Dropout(rate, marks=plasticity))


@strategy(
    source=f"{PAPER}, Algorithm 1; Chaudhry et al. 2019, On Tiny Episodic Memories, arXiv:1902.10486",
    needs={"task boundaries", "class labels"},
)
def dropin_replay(
    setup: Setup, mem_size: Count = 200, share: Share = 0.1, goal: Share = 0.95, cap: Positive = 2.0
) -> SupervisedTemplate:
    """Dropin with experience replay.

    Args:
        mem_size: number of samples in the memory, over all experiences.
        share: share of the units that a layer had at first, rounded up, that is added at a time.
        goal: the accuracy below which a converged network is too small.
        cap: the most units of a layer, as a multiple of what it had at first; above 1.
    """
    from avalanche.training.plugins import ReplayPlugin

    from lifelong.plasticity import Plasticity

    return setup.naive(ReplayPlugin(mem_size), Plasticity(_growth(share, goal=goal, cap=cap)))


@strategy(
    source=f"{PAPER}, Algorithm 1; Kirkpatrick et al. 2017, Overcoming catastrophic forgetting, arXiv:1612.00796",
    needs={"task boundaries", "class labels"},
)
def dropin_ewc(
    setup: Setup, ewc_lambda: Weight = 100_000.0, share: Share = 0.1, goal: Share = 0.95, cap: Positive = 2.0
) -> SupervisedTemplate:
    """Dropin with elastic weight consolidation: the penalty holds what was there, and what is new is free.

    Args:
        ewc_lambda: weight of the penalty.
        share: share of the units that a layer had at first, rounded up, that is added at a time.
        goal: the accuracy below which a converged network is too small.
        cap: the most units of a layer, as a multiple of what it had at first; above 1.
    """
    from avalanche.training.plugins import EWCPlugin

    from lifelong.plasticity import Plasticity

    return setup.naive(EWCPlugin(ewc_lambda, "separate"), Plasticity(_growth(share, goal=goal, cap=cap)))


def _growth(
    share: float,
    tolerance: float = 0.01,
    goal: float = 0.95,
    cooldown: int = 1,
    cap: float = 2.0,
    freeze: bool = False,
) -> Rule:
    from lifelong.plasticity import Converged, Grow, Rule, ShortOf, TaskArrives

    full = Converged(tolerance, relative=False) & ShortOf(accuracy=goal)
    return Rule(when=TaskArrives() | full.cooldown(epochs=cooldown), what=Grow(share, cap=cap, freeze=freeze))
