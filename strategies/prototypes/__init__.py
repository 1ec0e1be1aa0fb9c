"""Strategies that answer with the class whose mean, or whose prototype, is nearest.

`ncm`, `fecam` and `slda` compute their classifier from statistics of each class's features, so that it forgets nothing
by itself. They are as good as their features. Mensink et al. are given fixed ones, Hayes & Kanan take them from a
pretrained network, and Goswami et al. learn them in a first experience of many classes. Here features are learnt in the
first experience by plain training and then held still, or they are not learnt at all: features of an untrained network
are random. Random features can be better, because a first experience of two classes says little about the others. The
pass that gathers the statistics does not count among training MACs, and the statistics do not count among parameters.

`scr`, `ppp_loss` and `cope` learn the space in which samples lie near the mean or the prototype of their class.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from lifelong.contracts import Count, Positive, Share, Weight, strategy
from lifelong.errors import UsageError

if TYPE_CHECKING:
    from avalanche.training.templates import SupervisedTemplate

    from lifelong import Setup
    from lifelong.contracts import Need

    from .class_statistics import ClassStatistics
    from .evolving import EvolvesPrototypes

NEEDS: set[Need] = {"task boundaries", "single head", "class labels", "feature extractor"}

EVOLUTION = "De Lange & Tuytelaars 2021, Continual Prototype Evolution, arXiv:2009.00919"


@strategy(
    source="Mensink et al. 2013, Distance-Based Image Classification, doi:10.1109/TPAMI.2013.83; "
    "features of length one: Rebuffi et al. 2017, iCaRL, arXiv:1611.07725",
    needs=NEEDS,
    avalanche="NCMClassifier",
)
def ncm(setup: Setup, learn: Literal["first", "always", "never"] = "never", unit: bool = True) -> SupervisedTemplate:
    """Nearest class mean: the class whose mean feature is nearest.

    Means are those of all samples of a class, without a memory. Avalanche's form differs: a class that it has not seen
    has its mean at zero, which is nearest to many samples, and a class that comes again has the mean of its means.

    Args:
        learn: the experiences in which the features are learnt; means that were computed before do not move with them.
        unit: whether features are given length one.
    """
    from .class_statistics import NearestMean

    parts = setup.parts
    return _answering_by(setup, NearestMean(parts.outputs, parts.width, unit), learn)


@strategy(
    source="Goswami et al. 2023, FeCAM: Exploiting the Heterogeneity of Class Distributions in Exemplar-Free Continual "
    "Learning, arXiv:2309.14062",
    needs=NEEDS,
    avalanche="FeCAMClassifier",
)
def fecam(
    setup: Setup,
    learn: Literal["first", "always", "never"] = "first",
    power: Positive = 0.5,
    diagonal: Weight = 1.0,
    elsewhere: Weight = 1.0,
) -> SupervisedTemplate:
    """Feature covariance-aware metric: the class at the least Mahalanobis distance, each with its own covariance.

    The defaults are the paper's. Avalanche's form differs: it shrinks each covariance twice, averages the covariances
    of a class that comes again, and inverts them anew for every batch.

    Args:
        learn: the experiences in which the features are learnt; the paper learns them in the first.
        power: exponent to which features are raised beforehand, Tukey's lambda.
        diagonal: weight of the mean variance that is added to each variance, the paper's gamma_1.
        elsewhere: weight of the mean covariance that is added to each covariance, the paper's gamma_2.
    """
    from .class_statistics import ShrunkMahalanobis

    parts = setup.parts
    return _answering_by(setup, ShrunkMahalanobis(parts.outputs, parts.width, power, diagonal, elsewhere), learn)


@strategy(
    source="Hayes & Kanan 2020, Lifelong Machine Learning with Deep Streaming Linear Discriminant Analysis, "
    "arXiv:1909.01520",
    needs=NEEDS,
    avalanche="StreamingLDA",
)
def slda(
    setup: Setup, learn: Literal["first", "always", "never"] = "first", shrinkage: Share = 1e-4
) -> SupervisedTemplate:
    """Deep streaming linear discriminant analysis: classes with means of their own, and one covariance for all.

    The covariance within classes is exact and does not depend on the order of the samples. So one pass over an
    experience gives the same as its samples one by one. The paper counts how far a sample deviates from its class's
    mean by the samples of all classes, so that the first sample of each class deviates from zero. Avalanche's form does
    so too, goes through the samples one by one in Python, and gives a class that it has not seen the score zero.

    Args:
        learn: the experiences in which the features are learnt; means that were computed before do not move with them.
        shrinkage: weight of the identity beside the covariance; the default is the paper's.
    """
    from .class_statistics import LinearDiscriminants

    parts = setup.parts
    return _answering_by(setup, LinearDiscriminants(parts.outputs, parts.width, shrinkage), learn)


def _answering_by(
    setup: Setup, statistics: ClassStatistics, learn: Literal["first", "always", "never"]
) -> SupervisedTemplate:
    """Train the setup's network as always, and let it answer by statistics of its features."""
    from .class_statistics import PrototypeNetwork, PrototypeUpdate

    network = PrototypeNetwork(setup.parts, statistics.to(setup.device))
    return replace(setup, model=network).naive(PrototypeUpdate(learn))


@strategy(
    source="Mai et al. 2021, Supervised Contrastive Replay: Revisiting the Nearest Class Mean Classifier in Online "
    "Class-Incremental Continual Learning, arXiv:2103.13885",
    needs=NEEDS,
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
) -> SupervisedTemplate:
    """Supervised contrastive replay (SCR): pull samples of a class together, and answer by the nearest class mean.

    Each sample of a batch, old or new, is joined by another view of it. Class means are those of the memory. The
    temperature, the projection and the batch from the memory are the paper's. The paper crops to as little as 0.2 of an
    image, mirrors it, and changes its colours. That would turn some digits into others, so our crops are larger, and
    nothing else is done. Avalanche's form takes augmentations from its user, and does not give projections length one;
    we do, as in the paper.

    Args:
        mem_size: number of samples in the memory, over all classes.
        batch_size_mem: number of samples taken from the memory for each batch.
        temperature: temperature of the contrastive loss.
        projected: number of features of the projection that the loss compares.
        crop: the smallest share of an image's area in its other view.
        flip: whether half of these views are mirrored.
        noise: standard deviation of the noise in the other view of a sample that is not an image.
    """
    from lifelong.seeds import untouched_generators
    from lifelong.structure.holding.optimizers import add_parameters, drop_parameters
    from lifelong.workarounds.contrastive import WorkingSCR

    from .contrastive import ContrastiveNetwork, Crops

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


@strategy(source=EVOLUTION, needs={"single head", "class labels", "feature extractor"}, avalanche="PPPloss")
def ppp_loss(setup: Setup, momentum: Share = 0.99, temperature: Positive = 0.1) -> SupervisedTemplate:
    """Learn a space in which samples lie near their class's prototype, by the pseudo-prototypical proxy loss alone.

    It is `cope` without its memory: what the loss and the moving prototypes do by themselves. The loss compares samples
    with prototypes, and with each other sample of a class as if that were the class's prototype. The network's
    classifier embeds samples in as many dimensions as there are classes, as Avalanche's does; the paper has 100
    dimensions. Prototypes start at random when their class is first seen, and move at each batch; Avalanche's move once
    in an experience. A sample's class is that of the prototype with the largest cosine. The defaults are Avalanche's.

    Args:
        momentum: share of a prototype that is kept at each batch, the paper's alpha.
        temperature: temperature of the loss.
    """
    return setup.naive(_evolving(setup, momentum, temperature))


@strategy(source=EVOLUTION, needs=NEEDS, avalanche="CoPE")
def cope(
    setup: Setup,
    mem_size: Count = 200,
    momentum: Share = 0.99,
    temperature: Positive = 0.1,
    batch_size_mem: Count | None = None,
) -> SupervisedTemplate:
    """Continual prototype evolution: `ppp-loss`, with a memory balanced by class that keeps old prototypes up to date.

    Avalanche's plug-in takes one batch of each experience and then stops, because it is made for streams whose
    experiences are batches. This one trains on experiences of any length. Its memory takes samples once an experience
    is over, the paper's at each batch.

    Args:
        mem_size: number of samples in the memory, over all classes.
        momentum: share of a prototype that is kept at each batch, the paper's alpha.
        temperature: temperature of the loss.
        batch_size_mem: number of samples taken from the memory for each batch; by default as many as the training batch
            has.
    """
    from avalanche.training.plugins import ReplayPlugin

    from ..replay.recalling import balanced_memory

    setup.check_memory(mem_size, "classes")
    memory = balanced_memory(mem_size)
    prototypes = _evolving(setup, momentum, temperature)
    return setup.naive(prototypes, ReplayPlugin(mem_size, batch_size_mem=batch_size_mem, storage_policy=memory))


def _evolving(setup: Setup, momentum: float, temperature: float) -> EvolvesPrototypes:
    """Put prototypes in the place of the network's classifier, and return the plug-in that moves them.

    Raises:
        UsageError: if the classifier is not a single linear layer.
    """
    from torch import nn

    from .evolving import EvolvesPrototypes, Prototypes

    classifier = setup.parts.classifier
    if not isinstance(classifier, nn.Linear):
        raise UsageError("prototypes take the place of a head over all classes; use --set model.head=single")
    setup.model.classifier = Prototypes(classifier, temperature)
    return EvolvesPrototypes(momentum, temperature)
