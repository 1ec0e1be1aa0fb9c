"""Strategies that learn features by what belongs together."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from lifelong.contracts import Count, Positive, Share, Weight, strategy
from lifelong.errors import UsageError

if TYPE_CHECKING:
    from lifelong import Setup


@strategy(
    source="Mai et al. 2021, Supervised Contrastive Replay: Revisiting the Nearest Class Mean Classifier in Online "
    "Class-Incremental Continual Learning, arXiv:2103.13885",
    needs={"task boundaries", "single head", "class labels", "feature extractor"},
    avalanche="SCR",
)
def scr(
    setup: Setup,
    mem_size: Count = 200,
    batch_size_mem: Count = 100,
    temperature: Positive = 0.07,
    projected: Count = 128,
    crop: Share = 0.6,
    flip: bool = False,
    noise: Weight = 0.1,
) -> Any:
    """Supervised contrastive replay (SCR): pull samples of a class together, and answer by the nearest class mean.

    Each sample of a batch, old or new, is joined by another view of it. Class means are of the memory. Temperature,
    projection and batch from the memory are the paper's, which crops to as little as 0.2 of an image, mirrors, and
    changes colours; that makes other digits of some, so that our crops are larger and nothing else is done. Avalanche's
    form takes augmentations from its user, and does not give projections length one; we do, as the paper.

    Parameters:
        mem_size: samples in the memory, over all classes.
        batch_size_mem: samples taken from it for each batch.
        temperature: of the contrastive loss.
        projected: features of the projection that the loss compares.
        crop: the smallest share of an image's area in its other view.
        flip: whether half of these views are mirrored.
        noise: deviation of the noise on the other view of what is no image.
    """
    from lifelong.seeds import untouched_generators
    from lifelong.structure.holding.optimizers import add_parameters, drop_parameters
    from lifelong.workarounds.contrastive import WorkingSCR

    from ._contrastive import ContrastiveNetwork, Crops

    setup.check_memory(mem_size, "classes")
    if batch_size_mem > mem_size:
        raise UsageError(f"batch_size_mem = {batch_size_mem} is more than the memory holds: mem_size = {mem_size}")
    parts = setup.parts
    with untouched_generators():  # the network's training draws as if there were no projection to initialise
        network = ContrastiveNetwork(parts, projected).to(setup.device)
    drop_parameters(setup.optimizer, parts.classifier.parameters())
    like = next(parts.features.parameters(), None)
    add_parameters(setup.optimizer, network.train_classifier.parameters(), like=like)
    return replace(setup, model=network).make(
        WorkingSCR,
        augmentations=Crops(crop, flip, noise),
        mem_size=mem_size,
        batch_size_mem=batch_size_mem,
        temperature=temperature,
    )
