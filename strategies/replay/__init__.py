"""Strategies that keep some samples and train on them again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifelong.contracts import Count, Positive, Weight, strategy
from lifelong.errors import UsageError

if TYPE_CHECKING:
    from avalanche.training.templates import SupervisedTemplate

    from lifelong import Setup


@strategy(
    source="Chaudhry et al. 2019, On Tiny Episodic Memories in Continual Learning, arXiv:1902.10486",
    needs={"task boundaries"},
    avalanche="Replay",
)
def replay(setup: Setup, mem_size: Count = 200, batch_size_mem: Count | None = None) -> SupervisedTemplate:
    """Experience replay: each batch is joined by one from a memory shared equally among the experiences.

    Args:
        mem_size: number of samples in the memory, over all experiences.
        batch_size_mem: number of samples taken from it for each batch; by default as many as the training batch has.
    """
    from avalanche.training.plugins import ReplayPlugin

    setup.check_memory(mem_size, "experiences")
    return setup.naive(ReplayPlugin(mem_size, batch_size_mem=batch_size_mem))


@strategy(
    source="Prabhu et al. 2020, GDumb: A Simple Approach that Questions Our Progress in Continual Learning, ECCV",
    needs={"task boundaries"},
    avalanche="GDumb",
)
def gdumb(setup: Setup, mem_size: Count = 200) -> SupervisedTemplate:
    """GDumb: keep a memory balanced by label, and train a fresh network on it alone after each experience.

    The paper trains on the memory until it is learnt. Here the passes over the memory are as many as it takes to see as
    many samples as other strategies do, so that all have the same budget. Where experiences share labels, the memory
    balances those labels.

    Args:
        mem_size: number of samples in the memory, over all labels.
    """
    from lifelong.workarounds.rehearsal import mix_tasks

    from .equal_work import EqualWorkGDumb

    setup.check_memory(mem_size, "classes")
    return mix_tasks(setup.naive(EqualWorkGDumb(mem_size, setup.budget.epochs)))


@strategy(
    source="Caccia et al. 2022, New Insights on Reducing Abrupt Representation Change, arXiv:2104.05025",
    needs={"task boundaries", "class labels"},
    avalanche="ER_ACE",
    version=2,
)
def er_ace(setup: Setup, mem_size: Count = 200, batch_size_mem: Count | None = None) -> SupervisedTemplate:
    """ER-ACE: replay in which new samples compete only with the classes of their own batch.

    Avalanche's form for experiences of many batches: a new experience's samples enter the memory at its start. The loss
    of the new samples and that of the memory are added, as in the paper; Avalanche averages them. Where experiences
    share labels there is nothing to keep apart, and this is replay with both losses added.

    Args:
        mem_size: number of samples in the memory, over all classes.
        batch_size_mem: number of samples taken from it for each batch; by default as many as the training batch has, or
            the memory where it is smaller.
    """
    from avalanche.training.supervised import ER_ACE

    from lifelong.workarounds.rehearsal import AddedLosses, SortedSet

    setup.check_memory(mem_size, "classes")
    trainer = setup.make(ER_ACE, mem_size=mem_size, batch_size_mem=_from_memory(setup, mem_size, batch_size_mem))
    trainer.storage_policy.seen_classes = SortedSet()
    trainer.ace_criterion = AddedLosses(trainer.ace_criterion)
    return trainer


@strategy(
    source="Caccia et al. 2022, New Insights on Reducing Abrupt Representation Change, arXiv:2104.05025",
    needs={"task boundaries", "single head", "class labels", "feature extractor"},
    avalanche="ER_AML",
)
def er_aml(
    setup: Setup,
    mem_size: Count = 200,
    batch_size_mem: Count | None = None,
    temp: Positive = 0.1,
    base_temp: Positive = 0.07,
) -> SupervisedTemplate:
    """ER-AML: replay in which new samples only move their features towards those of their class, away from others.

    Avalanche's form for experiences of many batches: a new experience's samples enter the memory at its start, and
    their classification is learnt only when they are replayed. Positives and negatives are drawn from the memory.

    Args:
        mem_size: number of samples in the memory, over all classes.
        batch_size_mem: number of samples taken from it for each batch; by default as many as the training batch has, or
            the memory where it is smaller.
        temp: temperature of the similarities.
        base_temp: what scales their loss, which is multiplied by temp / base_temp.
    """
    from lifelong.workarounds.metric import WorkingERAML
    from lifelong.workarounds.rehearsal import SortedSet

    setup.check_memory(mem_size, "classes")
    trainer = setup.make(
        WorkingERAML,
        feature_extractor=setup.parts.features,
        mem_size=mem_size,
        batch_size_mem=_from_memory(setup, mem_size, batch_size_mem),
        temp=temp,
        base_temp=base_temp,
    )
    trainer.storage_policy.seen_classes = SortedSet()
    return trainer


@strategy(
    source="Buzzega et al. 2020, Dark Experience for General Continual Learning, arXiv:2004.07211",
    needs={"single head", "task boundaries", "class labels"},
    avalanche="DER",
)
def der(
    setup: Setup, mem_size: Count = 200, alpha: Weight = 0.1, beta: Weight = 0.5, batch_size_mem: Count | None = None
) -> SupervisedTemplate:
    """Dark experience replay (DER++; plain DER with beta = 0): replay that also keeps the logits of its samples.

    Avalanche's form: logits are stored once an experience is over, and one replay batch serves both terms.

    Args:
        mem_size: number of samples in the memory, over all classes.
        alpha: weight of the squared distance to the stored logits.
        beta: weight of the cross-entropy on the memory's labels.
        batch_size_mem: number of samples taken from it for each batch; by default as many as the training batch has, or
            the memory where it is smaller.
    """
    from avalanche.models import IncrementalClassifier
    from avalanche.training.supervised import DER

    from lifelong.workarounds.rehearsal import FastLogitsBuffer

    if any(isinstance(module, IncrementalClassifier) and module.masking for module in setup.model.modules()):
        raise UsageError("der holds on to logits, which an incremental head masks; use --set model.head=single")
    setup.check_memory(mem_size, "classes")
    batch_size_mem = _from_memory(setup, mem_size, batch_size_mem)
    trainer = setup.make(DER, mem_size=mem_size, alpha=alpha, beta=beta, batch_size_mem=batch_size_mem)
    trainer.storage_policy = FastLogitsBuffer(mem_size)
    return trainer


def _from_memory(setup: Setup, mem_size: int, asked: int | None) -> int:
    """Return how many samples to take from a memory; Avalanche does not use a memory that is smaller than a batch.

    Raises:
        UsageError: if more samples are asked for than the memory holds.
    """
    if asked is not None and asked > mem_size:
        raise UsageError(f"batch_size_mem = {asked} is more than the memory holds: mem_size = {mem_size}")
    return asked or min(setup.budget.batch_size, mem_size)
