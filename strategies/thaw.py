"""Strategies that free connections whose weights block each other's gradient."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifelong.contracts import Count, Positive, strategy

if TYPE_CHECKING:
    from avalanche.training.templates import SupervisedTemplate

    from lifelong import Setup
    from lifelong.plasticity import Rule

PAPER = "Zilly et al. 2021, On Plasticity, Invariance, and Mutually Frozen Weights in Sequential Task Learning, NeurIPS"


@strategy(source=PAPER, needs={"task boundaries"})
def thaw(setup: Setup, epsilon: Positive = 0.1) -> SupervisedTemplate:
    """Thaw: when a task arrives, units whose weights in and out are both near zero start again.

    Such weights block each other, because the gradient of one is proportional to the other. They come from weight decay
    with high learning rates. They are drawn anew from the distribution that the network began with. The threshold is
    our choice, relative to the layer's median. Units that were frozen on purpose are left alone.

    Args:
        epsilon: the threshold: a unit is frozen if the norm of its weights in, and that of its weights out, are at most
            this many times the median of its layer.
    """
    from lifelong.plasticity import Plasticity

    return setup.naive(Plasticity(_restart(epsilon)))


@strategy(
    source=f"{PAPER}; Chaudhry et al. 2019, On Tiny Episodic Memories, arXiv:1902.10486", needs={"task boundaries"}
)
def thaw_replay(setup: Setup, mem_size: Count = 200, epsilon: Positive = 0.1) -> SupervisedTemplate:
    """Thaw with experience replay.

    Args:
        mem_size: number of samples in the memory, over all experiences.
        epsilon: the threshold: a unit is frozen if the norm of its weights in, and that of its weights out, are at most
            this many times the median of its layer.
    """
    from avalanche.training.plugins import ReplayPlugin

    from lifelong.plasticity import Plasticity

    return setup.naive(ReplayPlugin(mem_size), Plasticity(_restart(epsilon)))


def _restart(epsilon: float) -> Rule:
    from lifelong.plasticity import Below, MutualFreezing, Reset, Rule, TaskArrives
    from lifelong.structure import Fresh

    return Rule(when=TaskArrives(), what=Reset(new=Fresh()), which=Below(MutualFreezing(), epsilon))
