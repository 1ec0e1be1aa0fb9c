"""Strategies that classify by the nearest prototype of a class, in a space that they learn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lifelong.contracts import Count, Positive, Share, strategy
from lifelong.errors import UsageError

if TYPE_CHECKING:
    from lifelong import Setup

SOURCE = "De Lange & Tuytelaars 2021, Continual Prototype Evolution, arXiv:2009.00919"


@strategy(source=SOURCE, needs={"single head", "class labels", "feature extractor"}, avalanche="PPPloss")
def ppp_loss(setup: Setup, momentum: Share = 0.99, temperature: Positive = 0.1) -> Any:
    """Learn a space in which samples lie near their class's prototype, by the pseudo-prototypical proxy loss alone.

    It is `cope` without its memory: what the loss and the moving prototypes do by themselves. The loss is on samples,
    and on each other sample of a class as if it were its prototype. The network's classifier embeds, in as many
    dimensions as there are classes, as Avalanche's does; the paper has 100. Prototypes start at random when their
    class is first seen, and move at each batch, where Avalanche's move once in an experience. A sample's class is that
    of the prototype with the largest cosine. Defaults are Avalanche's.

    Parameters:
        momentum: share of a prototype that is kept at each batch, the paper's alpha.
        temperature: of the loss.
    """
    return setup.naive(_evolving(setup, momentum, temperature))


@strategy(
    source=SOURCE, needs={"single head", "task boundaries", "class labels", "feature extractor"}, avalanche="CoPE"
)
def cope(
    setup: Setup,
    mem_size: Count = 200,
    momentum: Share = 0.99,
    temperature: Positive = 0.1,
    batch_size_mem: Count | None = None,
) -> Any:
    """Continual prototype evolution: `ppp-loss`, with a memory balanced by class that keeps old prototypes up to date.

    Avalanche's plug-in takes one batch of each experience and then stops, for streams whose experiences are batches;
    this one trains on experiences of any length. The memory takes samples once an experience is over, the paper's at
    each batch.

    Parameters:
        mem_size: samples in the memory, over all classes.
        momentum: share of a prototype that is kept at each batch, the paper's alpha.
        temperature: of the loss.
        batch_size_mem: samples taken from the memory for each batch; as many as the training batch by default.
    """
    from avalanche.training.plugins import ReplayPlugin
    from avalanche.training.storage_policy import ClassBalancedBuffer

    from lifelong.workarounds.rehearsal import SortedSet

    setup.check_memory(mem_size, "classes")
    memory = ClassBalancedBuffer(mem_size, adaptive_size=True)
    memory.seen_classes = SortedSet()
    prototypes = _evolving(setup, momentum, temperature)
    return setup.naive(prototypes, ReplayPlugin(mem_size, batch_size_mem=batch_size_mem, storage_policy=memory))


def _evolving(setup: Setup, momentum: float, temperature: float) -> Any:
    """The plug-in, once the network's classifier embeds.

    Raises:
        UsageError: if that is no single linear layer.
    """
    from torch import nn

    from ._evolving import EvolvesPrototypes, Prototypes

    classifier = setup.parts.classifier
    if not isinstance(classifier, nn.Linear):
        raise UsageError("prototypes take the place of a head over all classes; use --set model.head=single")
    setup.model.classifier = Prototypes(classifier, temperature)
    return EvolvesPrototypes(momentum, temperature)
