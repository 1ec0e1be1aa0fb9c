"""Strategies that hold the network near what it was: penalties on weights, and distillation.

No strength suits all streams. The defaults are the best of three or four powers of ten (for LwF of 0.3, 1, 3 and 10) by
the mean accuracy over `digits-class`, `digits-domain` and `digits-task`, on a validation split of a fifth of the
training samples, with seeds 100 and 101 and ten epochs. Three were not searched for: `online-ewc` has the strength of
`ewc`, `rwalk` and `lfl` have 1.

Each file beside this one holds a published method whole. No file has the name of a strategy, because the import of a
module `ewc` would put it in the place of the function `ewc`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from lifelong.contracts import Count, Positive, Share, Weight, strategy
from lifelong.errors import UsageError

if TYPE_CHECKING:
    from avalanche.training.templates import SupervisedTemplate

    from lifelong import Setup


@strategy(
    source="Kirkpatrick et al. 2017, Overcoming catastrophic forgetting in neural networks, arXiv:1612.00796; "
    "online form: Schwarz et al. 2018, arXiv:1805.06370",
    needs={"task boundaries"},
    avalanche="EWC",
)
def ewc(
    setup: Setup,
    ewc_lambda: Weight = 100_000.0,
    mode: Literal["separate", "online"] = "separate",
    decay_factor: Share = 0.9,
) -> SupervisedTemplate:
    """Elastic weight consolidation: a quadratic penalty on moving weights, each as stiff as its Fisher information.

    Like Avalanche's, and unlike the paper's, it estimates the Fisher information from the squared gradients of the mean
    loss of a batch, with the true labels. The paper takes the gradients of single samples. So `ewc_lambda` depends on
    the batch size, and is not the paper's.

    Args:
        ewc_lambda: weight of the penalty.
        mode: `separate` for one penalty for each earlier experience, `online` for one that runs on.
        decay_factor: what the running penalty keeps at each experience; used by `online` only.
    """
    from .elastic_weight_consolidation import EWC

    return setup.naive(EWC(ewc_lambda, mode, decay_factor))


@strategy(
    source="Schwarz et al. 2018, Progress & Compress, arXiv:1805.06370 (online EWC)",
    needs={"task boundaries"},
    avalanche="EWC",
)
def online_ewc(setup: Setup, ewc_lambda: Weight = 100_000.0, decay_factor: Share = 0.9) -> SupervisedTemplate:
    """Elastic weight consolidation with one running penalty, around the weights of the last experience.

    It is `ewc` with mode = online, under the name that the field knows. The paper adds half the penalty.

    Args:
        ewc_lambda: weight of the penalty.
        decay_factor: the share of the Fisher information so far that is kept at each experience; the paper's gamma.
    """
    return ewc(setup, ewc_lambda, "online", decay_factor)


@strategy(
    source="Zenke, Poole & Ganguli 2017, Continual Learning Through Synaptic Intelligence, arXiv:1703.04200; "
    "as implemented for Maltoni & Lomonaco 2019, arXiv:1806.08568",
    needs={"task boundaries"},
    avalanche="SynapticIntelligence",
)
def si(setup: Setup, si_lambda: Weight = 100.0, eps: Positive = 1e-3) -> SupervisedTemplate:
    """Synaptic intelligence: a quadratic penalty on weights by how much each lowered the loss on its way.

    Args:
        si_lambda: weight of half the penalty, so that it is twice the paper's c.
        eps: damping of the importance where a weight hardly moved, the paper's xi.
    """
    from .synaptic_intelligence import SynapticIntelligence

    return setup.naive(SynapticIntelligence(si_lambda, eps))


@strategy(
    source="Li & Hoiem 2016, Learning without Forgetting, arXiv:1606.09282",
    needs={"task boundaries", "class labels"},
    avalanche="LwF",
)
def lwf(
    setup: Setup,
    alpha: Weight | list[Weight] = 3.0,
    temperature: Positive = 2.0,
    cross_entropy: Weight | list[Weight] = 1.0,
    distil_new: bool = False,
) -> SupervisedTemplate:
    """Learning without forgetting: distil the network of before this experience into its outputs for old classes.

    Where each task has a head, the distillations of all earlier tasks' heads are added up.

    Args:
        alpha: weight of the distillation, or a list with one for each experience. In the first experience there is
            nothing to distil.
        temperature: of both softmaxes. Unlike in some other forms, its square does not multiply the distillation.
        cross_entropy: weight of the cross-entropy, or a list with one for each experience.
        distil_new: whether a probability of zero is distilled into the classes of this experience that are new, as
            van de Ven and Tolias 2019 (arXiv:1904.07734) do it. It changes nothing where each task has a head.
    """
    from .learning_without_forgetting import LearningWithoutForgetting

    for name, value in (("alpha", alpha), ("cross_entropy", cross_entropy)):
        if isinstance(value, list) and setup.experiences is not None and len(value) != setup.experiences:
            raise UsageError(
                f"lwf has {len(value)} values of {name} for {setup.experiences} experiences; give one for each"
            )
    return setup.naive(LearningWithoutForgetting(alpha, temperature, cross_entropy, distil_new))


@strategy(
    source="Aljundi et al. 2018, Memory Aware Synapses: Learning what (not) to forget, arXiv:1711.09601",
    needs={"task boundaries"},
    avalanche="MAS",
    version=2,
)
def mas(setup: Setup, lambda_reg: Weight = 1.0, alpha: Share = 0.5) -> SupervisedTemplate:
    """Memory aware synapses: a quadratic penalty on weights by how much each moves the squared norm of the output.

    This is Avalanche's form: importances are absolute gradients of the means over batches, and are averaged over
    experiences. The paper's are of single samples, and are added up.

    Args:
        lambda_reg: weight of the penalty.
        alpha: share of the importance so far that is kept when an experience adds its own.
    """
    from .memory_aware_synapses import MemoryAwareSynapses

    return setup.naive(MemoryAwareSynapses(lambda_reg, alpha))


@strategy(
    source="Chaudhry et al. 2018, Riemannian Walk for Incremental Learning, arXiv:1801.10112",
    needs={"task boundaries"},
    avalanche="RWalkPlugin",
)
def rwalk(setup: Setup, ewc_lambda: Weight = 1.0, ewc_alpha: Share = 0.9, delta_t: Count = 10) -> SupervisedTemplate:
    """Riemannian walk: a running EWC whose stiffness also counts how much each weight lowered the loss on its way.

    The loss that a weight's moves saved is divided by the distance, in the geometry of the Fisher information, that
    they took; that score and the Fisher information are each scaled to a largest value of 1, so that `ewc_lambda` is
    on another scale than that of `ewc`. The paper also keeps samples, which this does not.

    Args:
        ewc_lambda: weight of the penalty.
        ewc_alpha: share of the newest batch in the running Fisher information.
        delta_t: steps over which one score is taken.
    """
    from .riemannian_walk import RiemannianWalk

    return setup.naive(RiemannianWalk(ewc_lambda, ewc_alpha, delta_t))


@strategy(
    source="Jung et al. 2016, Less-forgetting Learning in Deep Neural Networks, arXiv:1607.00122",
    needs={"task boundaries", "feature extractor"},
    avalanche="LFL",
)
def lfl(setup: Setup, lambda_e: Weight = 1.0) -> SupervisedTemplate:
    """Less-forgetful learning: hold the features of new samples near those before this experience, and the classifier.

    It was made for tasks that share their classes: the classifier is frozen after the first experience, so that classes
    which come later keep the weights that the first one left them. Where each task has a head, that head is frozen
    after its task. This is Avalanche's form: the squared distance is a mean over features and samples. The paper's is
    half the sum over features, so that `lambda_e` is on another scale.

    Args:
        lambda_e: weight of the squared distance between the features.
    """
    from .less_forgetful_learning import LessForgetfulLearning

    return setup.naive(LessForgetfulLearning(lambda_e))
