"""Strategies that learn weights from which further learning interferes little.

Both take their own steps. Nothing of the budget's optimizer is used: the rates are parameters.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifelong.contracts import Count, Positive, Share, Weight, strategy

if TYPE_CHECKING:
    from avalanche.training.templates import SupervisedTemplate

    from lifelong import Setup


@strategy(
    source="Riemer et al. 2019, Learning to Learn without Forgetting by Maximizing Transfer and Minimizing "
    "Interference, arXiv:1810.11910",
    needs={"task boundaries"},
    avalanche="MER",
)
def mer(
    setup: Setup,
    mem_size: Count = 200,
    batch_size_mem: Count = 10,
    n_inner_steps: Count = 2,
    alpha: Positive = 0.1,
    beta: Share = 0.3,
    gamma: Share = 0.5,
) -> SupervisedTemplate:
    """MER: steps on single samples, new and recalled, in sequences of which the weights keep only a part (Reptile).

    As in Avalanche, all new samples of a batch are in each sequence, and experiences enter the memory when they are
    over; the paper takes one new sample at a time. Samples come in random order, where Avalanche puts new ones first.
    Steps are plain, as in the paper, and in eval mode, since a single sample has no batch statistics.

    Args:
        mem_size: number of samples in the memory, over all experiences, by reservoir sampling.
        batch_size_mem: number of samples taken from it for each sequence.
        n_inner_steps: number of sequences for each batch.
        alpha: learning rate of the steps.
        beta: share of their way that the weights keep after each sequence.
        gamma: share of their way that the weights keep after all sequences of a batch.
    """
    from ..replay.recalling import reservoir
    from .experience_replay import MER

    memory = reservoir(mem_size, batch_size_mem * n_inner_steps)
    return setup.make(
        MER, plugins=[memory], memory=memory, sequences=n_inner_steps, alpha=alpha, beta=beta, gamma=gamma
    )


@strategy(
    source="Gupta, Yadav & Paull 2020, La-MAML: Look-ahead Meta Learning for Continual Learning, arXiv:2007.13904",
    needs={"task boundaries"},
    avalanche="LaMAML",
)
def lamaml(
    setup: Setup,
    mem_size: Count = 200,
    batch_size_mem: Count | None = None,
    n_inner_updates: Count = 5,
    second_order: bool = True,
    grad_clip_norm: Positive = 1.0,
    alpha_init: Positive = 0.3,
    lr_alpha: Weight = 0.25,
) -> SupervisedTemplate:
    """La-MAML: descend, with a learned rate for each weight, the loss on new and recalled samples of a look ahead.

    As in Avalanche, experiences enter the memory when they are over. Avalanche draws all weights anew, so that
    strategies of the same seed could not be compared, and it takes only networks with a head for each task.

    Args:
        mem_size: number of samples in the memory, over all experiences, by reservoir sampling.
        batch_size_mem: number of samples taken from it for each batch; by default as many as the training batch has.
        n_inner_updates: number of steps of the look ahead, among which the new samples of a batch are divided.
        second_order: whether gradients of the steps' gradients are taken into account.
        grad_clip_norm: the largest entry that an inner gradient, and the largest norm that a meta-gradient, may have.
        alpha_init: the first value of all learning rates; 0.3 beat 0.1 on digits (validation split, seeds 100 and 101).
        lr_alpha: rate at which the learning rates are learnt.
    """
    from ..replay.recalling import reservoir
    from .look_ahead import LaMAML

    memory = reservoir(mem_size, batch_size_mem or setup.budget.batch_size)
    return setup.make(
        LaMAML,
        plugins=[memory],
        memory=memory,
        inner_updates=n_inner_updates,
        second_order=second_order,
        clip=grad_clip_norm,
        alpha_init=alpha_init,
        lr_alpha=lr_alpha,
    )
