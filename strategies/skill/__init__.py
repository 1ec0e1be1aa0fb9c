"""Strategies that change a network's size until it has a skill, or as long as it keeps one."""

from __future__ import annotations

from math import floor, log
from typing import TYPE_CHECKING

from lifelong.contracts import Count, Positive, Share, strategy
from lifelong.errors import UsageError

if TYPE_CHECKING:
    from avalanche.training.templates import SupervisedTemplate

    from lifelong import Setup
    from lifelong.plasticity import Trigger

PERWEJ = "Perwej & Parwej 2012, A Neuroplasticity (Brain Plasticity) Approach to Use in Artificial Neural Network"


@strategy(source=f"{PERWEJ}, growing", needs={"task boundaries", "class labels"})
def grow_to_skill(
    setup: Setup, start: Share = 0.1, share: Share = 0.05, goal: Share = 0.95, patience: Count = 2, cap: Positive = 1.5
) -> SupervisedTemplate:
    """Grow to skill: begin with few neurons, and add some whenever training stalls short of the goal.

    The paper adds random neurons to a minimal perceptron of one hidden layer until it has learnt its set of samples,
    and then stops. Here each task is a skill: growth stops when it is learnt, and goes on where a later task is not.
    Training lasts as long as the budget says. All numbers, and that all hidden layers grow, are our choice. Before the
    first experience the board's network is cut down, and what is left is drawn anew.

    Args:
        start: share of each layer's units that the network begins with.
        share: share of the units that a layer had before it was cut down, rounded up, that is added at a time.
        goal: the accuracy on an epoch's training batches with which a task counts as learnt.
        patience: number of epochs without a gain in that accuracy after which training has stalled.
        cap: the most units of a layer, as a multiple of what it had before it was cut down; above 1.
    """
    from lifelong.plasticity import Grow, Lowest, Plasticity, Random, Remove, Reset, Rule, ShortOf, Stalled
    from lifelong.structure import Fresh

    _check_inside("grow-to-skill", start=start)
    return setup.naive(
        Plasticity(
            Rule(when=_birth(), what=Remove(), which=Lowest(Random(), share=1 - start)),
            Rule(when=_birth(), what=Reset(new=Fresh()), which=Lowest(Random(), share=1.0)),
            Rule(
                when=Stalled("accuracy", patience=patience) & ShortOf(accuracy=goal),
                what=Grow(share, new=Fresh(), cap=cap),
            ),
        )
    )


@strategy(source=f"{PERWEJ}, cutting", needs={"task boundaries", "class labels"})
def prune_to_skill(setup: Setup, share: Share = 0.1, sparsity: Share = 0.67, goal: Share = 0.95) -> SupervisedTemplate:
    """Prune to skill: cut the weakest connections, train again, and go on for as long as the skill is kept.

    The paper finds that about two thirds of a perceptron's connections can go. Here the connections of each hidden
    layer are cut after every epoch in which the accuracy on the training batches has reached the goal, up to a given
    sparsity; what is cut stays cut. Connections of the output layer are kept. Our choices are the step, the goal, and
    that each layer is cut alike. Training lasts as long as the budget says.

    Args:
        share: share of a layer's remaining connections that is cut at a time, in (0, 1).
        sparsity: largest sparsity of each layer, in (0, 1).
        goal: the accuracy with which a task counts as learnt.
    """
    from lifelong.plasticity import Lowest, Magnitude, Plasticity, PruneSynapses, Rule

    from .skilled import Skilled

    _check_inside("prune-to-skill", share=share, sparsity=sparsity)
    times = floor(log(1 - sparsity) / log(1 - share))
    if not times:
        raise UsageError(f"prune-to-skill: share = {share} is more than sparsity = {sparsity} allows; lower it")
    weakest = Lowest(Magnitude(), share=share)
    return setup.naive(Plasticity(Rule(when=Skilled(goal).at_most(times), what=PruneSynapses(), which=weakest)))


def _check_inside(owner: str, **shares: float) -> None:
    for name, value in shares.items():
        if not 0 < value < 1:
            nearest = 0.01 if value <= 0 else 0.99
            raise UsageError(f"{owner}: {name} = {value} is not in (0, 1); the nearest is {nearest}")


def _birth() -> Trigger:
    """Return a trigger that fires once, before the first update."""
    from lifelong.plasticity import TaskArrives

    return TaskArrives(first=True).at_most(1)
