"""Strategies that change how plastic a network is, without any operator on its structure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifelong.contracts import Count, Share, strategy
from lifelong.errors import UsageError

if TYPE_CHECKING:
    from avalanche.training.templates import SupervisedTemplate

    from lifelong import Setup


@strategy(
    source="Rudroff, Rainio & Klén 2024, Neuroplasticity Meets Artificial Intelligence, Brain Sciences 14(11), 1111",
    needs={"task boundaries"},
)
def sleep_consolidation(
    setup: Setup, mem_size: Count = 200, epochs: Count = 10, decay: Share = 0.95
) -> SupervisedTemplate:
    """Sleep consolidation: learn fast while awake, then replay a memory into a slow network that is kept.

    The paper is conceptual: a fast learner has a buffer, and is consolidated offline into a slow base of knowledge.
    There sharp wave ripples reactivate what was learnt, and a counterbalance keeps it in bounds. Our form is the
    smallest one: a reservoir of samples, some epochs of training on it alone after each experience, and a running
    average of the weights over these epochs, with which the network wakes up. The steps of sleep come on top of the
    budget, as those of a replayed batch do. No structure is changed.

    Args:
        mem_size: number of samples in the memory, over all experiences.
        epochs: number of passes over the memory in each sleep.
        decay: share of its weights that the slow network keeps at each step of sleep.
    """
    from .sleep import Sleep

    return setup.naive(Sleep(mem_size, epochs, decay))


@strategy(source="Steur & Schwenker 2024, Capsule Networks with Self-Building Skip Connections, AI 6(1)")
def self_building_skips(setup: Setup) -> SupervisedTemplate:
    """Self-building skips: every layer begins linear, and learns by gradient where the network has to be nonlinear.

    The paper's adaptive nonlinearity gates are biased batch normalisation, a PReLU with two learnable slopes that
    begins linear, and gated routing between capsules. Ours are the PReLU alone. It replaces each `nn.ReLU` module
    (functional ones stay), with one pair of slopes for a layer, which is our choice. The gates are a soft mask of
    layers: a layer whose slopes stay equal folds into the next one, as if it were skipped. Capsules, routing and batch
    normalisation are left out. The untrained network is linear.

    Raises:
        UsageError: if the network has no `nn.ReLU` modules.
    """
    from lifelong.structure.holding.optimizers import put_in_order

    from .slopes import replace_rectifiers

    gates = replace_rectifiers(setup.model)
    if not gates:
        raise UsageError("self-building-skips stands in for nn.ReLU modules, and the network has none")
    setup.optimizer.param_groups[0]["params"] += gates
    put_in_order(setup.optimizer, setup.model.parameters())
    return setup.naive()
