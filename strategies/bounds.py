"""The ends of a board: plain fine-tuning, training on everything at once, and keeping all data."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifelong.contracts import strategy

if TYPE_CHECKING:
    from avalanche.training.templates import SupervisedTemplate

    from lifelong import Setup


@strategy(source="Lopez-Paz & Ranzato 2017, arXiv:1706.08840, the baseline 'single'", role="floor", avalanche="Naive")
def naive(setup: Setup) -> SupervisedTemplate:
    """Fine-tune on each experience in turn, with no defence against forgetting."""
    return setup.naive()


@strategy(
    source="Caruana 1997, Multitask Learning (all tasks trained together)",
    role="ceiling",
    offline=True,
    avalanche="JointTraining",
)
def joint(setup: Setup) -> SupervisedTemplate:
    """Train once on all experiences together: what the network and the budget can reach without a stream.

    Its epochs pass over all the data, so it takes as many steps as the others take over the stream. R has a first and a
    last row only, so forgetting and transfer are not defined.
    """
    from avalanche.training.supervised import JointTraining

    from lifelong.workarounds.rehearsal import mix_tasks

    return mix_tasks(setup.make(JointTraining))


@strategy(
    source="Chaudhry et al. 2018, arXiv:1801.10112, the reference of intransigence",
    role="reference",
    avalanche="Cumulative",
)
def cumulative(setup: Setup) -> SupervisedTemplate:
    """Train on each experience together with all the data before it, from the weights reached so far.

    It takes more steps with every experience, and shows what keeping everything would give. Chaudhry et al. retrain
    their reference from scratch; this one goes on from its weights, as Avalanche's does.
    """
    from avalanche.training.supervised import Cumulative

    from lifelong.workarounds.rehearsal import mix_tasks

    return mix_tasks(setup.make(Cumulative))
