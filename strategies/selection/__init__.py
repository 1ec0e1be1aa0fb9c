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

    The paper's algorithm 2, with each sample offered once, in the first epoch; of a batch, all samples are compared
    with the memory as it was before. Avalanche's form compares with means over batches, offers the memory to itself,
    replays images of zeros while it is not full, and adds the gradient of the last sample compared to the step's.

    Args:
        mem_size: samples in the memory, over all experiences.
        batch_size_mem: samples taken from it for each batch; as many as the training batch by default.
        compared: samples of the memory that each new one is compared with. The more, the seldomer does one enter: of 1,
            3 and the paper's 10, 1 is best by far on digits (validation split, seeds 100 and 101, ten epochs).
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
    """MIR: replay of those samples of the memory whose loss a step on the new batch alone would raise most.

    As in Avalanche, experiences enter a memory balanced by class when they are over. Avalanche's form leaves out all
    classes of the last batch, hence in class-incremental streams the whole last experience. Here the look-ahead leaves
    batch statistics alone, and new and recalled samples make one batch, as in the paper's algorithm 1.

    Args:
        mem_size: samples in the memory, over all classes.
        batch_size_mem: samples taken from it for each batch; as many as the training batch by default.
        subsample: samples of the memory that they are chosen from; five times as many by default, as in the paper.
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
    """RAR: replay of samples, and of the same samples moved across the border to the classes being learnt.

    Each recalled sample is moved towards the class of the new sample of another class that is nearest in the features
    of the network one step ahead. MixUp is left out, as in Avalanche. Avalanche's form takes the farthest class, moves
    away from it, makes one step fewer, and clips inputs to [0, 1], which normalized images leave.

    Args:
        mem_size: samples in the memory, over all experiences, by reservoir sampling.
        batch_size_mem: samples taken from it for each batch; as many as the training batch by default.
        beta: weight of the moved samples' loss; 1 - beta is that of the samples as they are.
        epsilon: the most that an input changes, in the network's normalized units; 0.1 is 8/255 of MNIST's pixels.
        steps: of the attack.
        decay: what the attack's momentum keeps at each step.
    """
    from .adversarial import AdversarialReplay

    batch_size = batch_size_mem or setup.budget.batch_size
    return setup.naive(AdversarialReplay(mem_size, batch_size, beta, epsilon, steps, decay))
