"""Strategies that keep some samples and train on them again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lifelong.contracts import strategy

if TYPE_CHECKING:
    from lifelong import Setup


@strategy(source="Chaudhry et al. 2019, On Tiny Episodic Memories in Continual Learning, arXiv:1902.10486")
def replay(setup: Setup, mem_size: int = 200, batch_size_mem: int | None = None) -> Any:
    """Experience replay: each batch is joined by one from a memory shared equally among the experiences.

    Parameters:
        mem_size: samples in the memory, over all experiences.
        batch_size_mem: samples taken from it for each batch; as many as the training batch by default.
    """
    from avalanche.training.plugins import ReplayPlugin

    return setup.naive(ReplayPlugin(mem_size, batch_size_mem=batch_size_mem))


@strategy(
    source="Chaudhry et al. 2019, Efficient Lifelong Learning with A-GEM, arXiv:1812.00420", needs={"task boundaries"}
)
def agem(setup: Setup, patterns_per_exp: int = 40, sample_size: int = 64) -> Any:
    """A-GEM: project each gradient so that the mean loss on a memory does not rise, to first order.

    Parameters:
        patterns_per_exp: samples kept of each experience.
        sample_size: samples of the memory in each reference gradient, shared equally among the experiences.
    """
    from lifelong.workarounds import ResumableAGEM

    return setup.naive(ResumableAGEM(patterns_per_exp, sample_size))


@strategy(
    source="Prabhu et al. 2020, GDumb: A Simple Approach that Questions Our Progress in Continual Learning, ECCV",
    needs={"task boundaries"},
)
def gdumb(setup: Setup, mem_size: int = 200) -> Any:
    """GDumb: keep a class-balanced memory, and train a fresh network on it alone after each experience.

    Parameters:
        mem_size: samples in the memory, over all classes.
    """
    from avalanche.training.plugins import GDumbPlugin

    return setup.naive(GDumbPlugin(mem_size))


@strategy(
    source="Caccia et al. 2022, New Insights on Reducing Abrupt Representation Change, arXiv:2104.05025",
    needs={"task boundaries"},
)
def er_ace(setup: Setup, mem_size: int = 200, batch_size_mem: int | None = None) -> Any:
    """ER-ACE: replay in which new samples compete only with the classes of their own batch.

    Avalanche's form for experiences of many batches: a new experience's samples enter the memory at its start.

    Parameters:
        mem_size: samples in the memory, over all classes.
        batch_size_mem: samples taken from it for each batch; as many as the training batch by default.
    """
    from avalanche.training.supervised import ER_ACE

    from lifelong.workarounds import FastClassBuffer

    made = setup.make(ER_ACE, mem_size=mem_size, batch_size_mem=batch_size_mem or setup.budget.batch_size)
    made.storage_policy = FastClassBuffer(mem_size)
    return made


@strategy(
    source="Buzzega et al. 2020, Dark Experience for General Continual Learning, arXiv:2004.07211",
    needs={"single head"},
)
def der(
    setup: Setup, mem_size: int = 200, alpha: float = 0.1, beta: float = 0.5, batch_size_mem: int | None = None
) -> Any:
    """Dark experience replay (DER++; plain DER with beta = 0): replay that also holds on to the logits of its samples.

    Avalanche's form: logits are stored once an experience is over, one replay batch serves both terms.

    Parameters:
        mem_size: samples in the memory, over all classes.
        alpha: weight of the squared distance to the stored logits.
        beta: weight of the cross-entropy on the memory's labels.
        batch_size_mem: samples taken from it for each batch; as many as the training batch by default.
    """
    from avalanche.training.supervised import DER

    from lifelong.workarounds import FastLogitsBuffer

    made = setup.make(DER, mem_size=mem_size, alpha=alpha, beta=beta, batch_size_mem=batch_size_mem)
    made.storage_policy = FastLogitsBuffer(mem_size)
    return made
