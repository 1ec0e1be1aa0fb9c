"""Strategies that keep exemplars of each class, and undo what a memory so small does to old classes' scores.

Each trains on an experience together with the exemplars, which herding chooses (Welling 2009). So new classes have many
more samples than old ones. Where experiences share all their classes no class is old, and each strategy is replay.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifelong.contracts import Count, Need, Positive, Share, strategy
from lifelong.errors import UsageError

if TYPE_CHECKING:
    from avalanche.training.templates import SupervisedTemplate

    from lifelong import Setup

NEEDS: set[Need] = {"task boundaries", "single head", "class labels", "feature extractor"}


@strategy(
    source="Rebuffi et al. 2017, iCaRL: Incremental Classifier and Representation Learning, arXiv:1611.07725",
    needs=NEEDS,
    avalanche="ICaRL",
)
def icarl(setup: Setup, mem_size: Count = 200, temperature: Positive = 1.0) -> SupervisedTemplate:
    """iCaRL: distil old classes' probabilities, keep exemplars by herding, classify by the nearest mean of exemplars.

    As in the paper, with a logistic loss for each class seen so far. Avalanche's form averages means with those of
    mirrored images, which makes no sense for digits, and needs to know the classes of experiences to come.

    Args:
        mem_size: number of samples in the memory, over all classes; the paper's is 2,000.
        temperature: what divides the earlier network's logits before they become targets; the paper has none.
    """
    from .nearest_exemplars import ICaRL

    setup.check_memory(mem_size, "classes")
    return setup.naive(ICaRL(mem_size, temperature))


@strategy(source="Wu et al. 2019, Large Scale Incremental Learning, arXiv:1905.13260", needs=NEEDS, avalanche="BiC")
def bic(
    setup: Setup,
    mem_size: Count = 200,
    val_share: Share = 0.1,
    temperature: Positive = 2.0,
    stage_2_steps: Count = 200,
    lr: Positive = 0.1,
) -> SupervisedTemplate:
    """BiC: distil, then scale and shift the logits of the new classes, by two numbers fitted on samples held out.

    Avalanche's form takes the teacher's softmax over the batch instead of the classes, and cannot hold samples out of a
    stream made of data sets. The authors' code fits on batches; here each step is on all samples that are held out. The
    rate, the number of steps and the penalty are theirs. As in their code, the classes of earlier experiences are not
    corrected again.

    Args:
        mem_size: number of samples in the memory, over all classes, those held out included.
        val_share: share of each class's places in the memory that is held out of training; the paper's is 0.1.
        temperature: temperature of the distillation.
        stage_2_steps: number of steps of the fit after each experience.
        lr: learning rate of the fit.
    """
    from .bias_correction import BiasCorrection

    setup.check_memory(mem_size, "classes")
    if setup.classes is not None and mem_size < 2 * setup.classes:
        raise UsageError(
            f"mem_size = {mem_size}: bic holds a sample of each of the {setup.classes} classes out of "
            f"training, besides one to train on; the least is {2 * setup.classes}"
        )
    if val_share == 1:
        raise UsageError("val_share = 1.0 leaves no exemplars to train on; the paper's is 0.1")
    return setup.naive(BiasCorrection(mem_size, val_share, temperature, stage_2_steps, lr))


@strategy(
    source="Belouadah & Popescu 2019, IL2M: Class Incremental Learning With Dual Memory, ICCV",
    needs=NEEDS,
)
def il2m(setup: Setup, mem_size: Count = 200) -> SupervisedTemplate:
    """IL2M: fine-tune with exemplars; where a new class wins, raise old classes' scores to what they once were.

    A second memory holds two numbers for each class: its mean score when it was new, and how sure the network then was.
    Scores are probabilities after the softmax. Avalanche has the paper's metric, and not the method.

    Args:
        mem_size: number of samples in the memory, over all classes.
    """
    from .dual_memory import DualMemory

    setup.check_memory(mem_size, "classes")
    return setup.naive(DualMemory(mem_size))
