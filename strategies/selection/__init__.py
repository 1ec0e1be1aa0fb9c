"""Strategies that choose which samples to keep, or which of those to train on again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifelong.contracts import Count, Positive, Share, strategy
from lifelong.errors import UsageError

if TYPE_CHECKING:
    from avalanche.training.templates import SupervisedTemplate

    from lifelong import Setup


@strategy(
    source="Aljundi et al. 2019, Gradient based sample selection for online continual learning, arXiv:1903.08671",
    avalanche="GSS_greedy",
)
def gss(
    setup: Setup, mem_size: Count = 200, batch_size_mem: Count | None = None, compared: Count = 1
) -> SupervisedTemplate:
    """GSS-Greedy: replay from a memory of samples whose gradients point away from one another.

    This is the paper's algorithm 2. Each sample is offered once, in the first epoch. All samples of a batch are
    compared with the memory as it was before the batch. Avalanche's form compares with means over batches, offers the
    memory to itself, replays images of zeros while it is not full, and adds the gradient of the last sample compared to
    the step's.

    Args:
        mem_size: number of samples in the memory, over all experiences.
        batch_size_mem: number of samples taken from it for each batch; by default as many as the training batch has.
        compared: number of samples of the memory that each new one is compared with; the more there are, the more
            rarely a sample enters; of 1, 3 and the paper's 10, 1 is best by far on digits (validation split, seeds 100
            and 101, ten epochs).
    """
    from .diversity import GreedySelection

    return setup.naive(GreedySelection(mem_size, batch_size_mem or setup.budget.batch_size, compared))


@strategy(
    source="Aljundi et al. 2019, Online Continual Learning with Maximally Interfered Retrieval, arXiv:1908.04742",
    needs={"task boundaries", "class labels"},
    avalanche="MIR",
)
def mir(
    setup: Setup, mem_size: Count = 200, batch_size_mem: Count | None = None, subsample: Count | None = None
) -> SupervisedTemplate:
    """MIR: replay of the samples of the memory whose loss a step on the new batch alone would raise most.

    As in Avalanche, experiences enter a memory balanced by class when they are over. Avalanche's form leaves out all
    classes of the last batch: in class-incremental streams the whole last experience. Here the look-ahead leaves batch
    statistics alone, and new and recalled samples make one batch, as in the paper's algorithm 1.

    Args:
        mem_size: number of samples in the memory, over all classes.
        batch_size_mem: number of samples taken from it for each batch; by default as many as the training batch has.
        subsample: number of samples of the memory that these are chosen from; by default five times as many, as in the
            paper.
    """
    from .interference import MaximallyInterfered

    setup.check_memory(mem_size, "classes")
    batch_size = batch_size_mem or setup.budget.batch_size
    if subsample is not None and subsample < batch_size:
        raise UsageError(f"subsample = {subsample} is less than the {batch_size} samples to be chosen from it")
    return setup.naive(MaximallyInterfered(mem_size, batch_size, subsample or 5 * batch_size))


@strategy(
    source="Kumari, Wang, Zhou & Bilmes 2022, Retrospective Adversarial Replay for Continual Learning, NeurIPS",
    needs={"task boundaries", "single head", "class labels", "feature extractor"},
    avalanche="RARPlugin",
)
def rar(
    setup: Setup,
    mem_size: Count = 200,
    batch_size_mem: Count | None = None,
    beta: Share = 0.4,
    epsilon: Positive = 0.1,
    steps: Count = 2,
    decay: Share = 1.0,
) -> SupervisedTemplate:
    """RAR: replay of samples, and of the same samples moved across the border to the classes that are being learnt.

    Each recalled sample is moved towards the class of the new sample of another class that is nearest in the features
    of the network one step ahead. MixUp is left out, as in Avalanche. Avalanche's form takes the farthest class, moves
    away from it, makes one step fewer, and clips inputs to [0, 1], although normalized images lie outside too.

    Args:
        mem_size: number of samples in the memory, over all experiences, by reservoir sampling.
        batch_size_mem: number of samples taken from it for each batch; by default as many as the training batch has.
        beta: weight of the moved samples' loss; the samples as they are have the weight 1 - beta.
        epsilon: the largest change of an input, in the network's normalized units; 0.1 is 8/255 of MNIST's pixels.
        steps: number of steps of the attack.
        decay: share of the attack's momentum that is kept at each step.
    """
    from .adversarial import AdversarialReplay

    batch_size = batch_size_mem or setup.budget.batch_size
    return setup.naive(AdversarialReplay(mem_size, batch_size, beta, epsilon, steps, decay))
