"""Strategies whose classifier is computed from statistics of each class's features, and so forgets nothing by itself.

They are as good as their features. Mensink et al. are given fixed ones, Hayes & Kanan have them from a pretrained
network, Goswami et al. from the first experience, of many classes. Here features are learnt on the first experience by
plain training, and then held still, or not learnt at all: those of an untrained network are random features. These can
be the better ones, where a first experience of two classes says little of the others. The pass that gathers the
statistics is not counted among training MACs, nor the statistics among parameters.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from lifelong.contracts import Positive, Share, Weight, strategy

if TYPE_CHECKING:
    from lifelong import Setup
    from lifelong.contracts import Need

    from ._prototypes import ClassStatistics

NEEDS: set[Need] = {"task boundaries", "single head", "class labels", "feature extractor"}


@strategy(
    source="Mensink et al. 2013, Distance-Based Image Classification, doi:10.1109/TPAMI.2013.83; "
    "features of length one: Rebuffi et al. 2017, iCaRL, arXiv:1611.07725",
    needs=NEEDS,
    avalanche="NCMClassifier",
)
def ncm(setup: Setup, learn: Literal["first", "always", "never"] = "never", unit: bool = True) -> Any:
    """Nearest class mean: the class whose mean feature is nearest.

    Means are those of all samples of a class, without a memory. Avalanche's form differs: a class that it has not seen
    has its mean at zero, where it is nearest to many samples, and one that comes again has the mean of its means.

    Parameters:
        learn: on which experiences the features are learnt; means that were found before are not moved with them.
        unit: give features length one.
    """
    from ._prototypes import NearestMean

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
) -> Any:
    """Feature covariance-aware metric: the class at the least Mahalanobis distance, each with its own covariance.

    The defaults are the paper's. Avalanche's form differs: it shrinks each covariance twice, averages those of a class
    that comes again, and inverts them anew for every batch.

    Parameters:
        learn: on which experiences the features are learnt; the paper's are learnt on the first.
        power: to which features are raised beforehand, Tukey's lambda.
        diagonal: weight of the mean variance that is added to each variance, the paper's gamma_1.
        elsewhere: weight of the mean covariance that is added to each covariance, the paper's gamma_2.
    """
    from ._prototypes import ShrunkMahalanobis

    parts = setup.parts
    return _answering_by(setup, ShrunkMahalanobis(parts.outputs, parts.width, power, diagonal, elsewhere), learn)


@strategy(
    source="Hayes & Kanan 2020, Lifelong Machine Learning with Deep Streaming Linear Discriminant Analysis, "
    "arXiv:1909.01520",
    needs=NEEDS,
    avalanche="StreamingLDA",
)
def slda(setup: Setup, learn: Literal["first", "always", "never"] = "first", shrinkage: Share = 1e-4) -> Any:
    """Deep streaming linear discriminant analysis: classes with means of their own, and one covariance for all.

    The covariance is the exact one within classes, which does not depend on the order of the samples, so that one pass
    over an experience gives what its samples one by one would. The paper counts a sample's deviation from its class's
    mean by the samples of all classes, and so the first of each class from zero. Avalanche's form does so too, goes
    through the samples one by one in Python, and gives a class that it has not seen the score zero.

    Parameters:
        learn: on which experiences the features are learnt; means that were found before are not moved with them.
        shrinkage: weight of the identity beside the covariance; the paper's, as is its value.
    """
    from ._prototypes import LinearDiscriminants

    parts = setup.parts
    return _answering_by(setup, LinearDiscriminants(parts.outputs, parts.width, shrinkage), learn)


def _answering_by(setup: Setup, statistics: ClassStatistics, learn: Literal["first", "always", "never"]) -> Any:
    from dataclasses import replace

    from ._prototypes import PrototypeNetwork, PrototypeUpdate

    network = PrototypeNetwork(setup.parts, statistics.to(setup.device))
    return replace(setup, model=network).naive(PrototypeUpdate(learn))
