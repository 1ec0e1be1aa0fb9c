"""Strategies that project each gradient so that it does not conflict with those of a memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifelong.contracts import Count, Weight, strategy

if TYPE_CHECKING:
    from avalanche.training.templates import SupervisedTemplate

    from lifelong import Setup


@strategy(
    source="Lopez-Paz & Ranzato 2017, Gradient Episodic Memory for Continual Learning, arXiv:1706.08840",
    needs={"task boundaries"},
    avalanche="GEM",
)
def gem(setup: Setup, patterns_per_exp: Count = 40, memory_strength: Weight = 0.5) -> SupervisedTemplate:
    """GEM: project each gradient so that the loss on no earlier experience's memory rises, to first order.

    As in the authors' code, a small ridge keeps the quadratic programme solvable. The memory grows with the stream:
    each experience adds its samples, drawn at random; the paper keeps the last ones. The strength is the paper's. The
    number of samples is a share of the memory that the other strategies have, as for `agem`.

    Args:
        patterns_per_exp: number of samples kept from each experience.
        memory_strength: the paper's gamma, the least weight of each memory's gradient wherever one conflicts.
    """
    from lifelong.workarounds.projection import WorkingGEM

    return setup.naive(WorkingGEM(patterns_per_exp, memory_strength))


@strategy(
    source="Chaudhry et al. 2019, Efficient Lifelong Learning with A-GEM, arXiv:1812.00420",
    needs={"task boundaries"},
    avalanche="AGEM",
)
def agem(setup: Setup, patterns_per_exp: Count = 40, sample_size: Count = 64) -> SupervisedTemplate:
    """A-GEM: project each gradient so that the mean loss on a memory does not rise, to first order.

    Args:
        patterns_per_exp: number of samples kept from each experience.
        sample_size: number of samples of the memory in each reference gradient, shared equally among the experiences.
    """
    from lifelong.workarounds.projection import WorkingAGEM

    return setup.naive(WorkingAGEM(patterns_per_exp, sample_size))
