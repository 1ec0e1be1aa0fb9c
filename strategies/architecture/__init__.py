"""Strategies that give each task a part of the network, or a network of its own; and those of the CWR family."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from lifelong.contracts import Count, Positive, Share, Weight, strategy
from lifelong.errors import UsageError

if TYPE_CHECKING:
    from avalanche.training.templates import SupervisedTemplate
    from torch import nn

    from lifelong import Setup


@strategy(
    source="Rusu et al. 2016, Progressive Neural Networks, arXiv:1606.04671",
    needs={"task labels", "task boundaries", "class labels", "feature extractor"},
    avalanche="PNNStrategy",
)
def pnn(setup: Setup, adapter: Literal["mlp", "linear"] = "mlp") -> SupervisedTemplate:
    """Progressive networks: a column for each task, frozen once learnt, that reads the hidden layers of all before it.

    Avalanche's form: columns are fully connected, and heads read their own column alone; the paper's heads read all
    columns. Here the network that the suite gives is the first column, and the others are as wide. A task that has no
    column yet is answered by the newest one. Parameters grow with the square of the number of tasks.

    Args:
        adapter: what stands between a layer of an earlier column and the next layer of a later one: `mlp`, a small
            network of one hidden layer behind learnt scales (the paper's equation 2), or `linear`, a linear map
            (equation 1).
    """
    from .columns import progressive

    return _over(setup, progressive(setup, adapter)).naive()


@strategy(
    source="Mallya & Lazebnik 2018, PackNet: Adding Multiple Tasks to a Single Network by Iterative Pruning, "
    "arXiv:1711.05769",
    needs={"task labels", "task boundaries"},
    avalanche="PackNet",
)
def packnet(setup: Setup, prune_proportion: Share = 0.5, retrained: Share = 0.33) -> SupervisedTemplate:
    """PackNet: prune the smallest weights of each task, keep the others for good, and train the next task on the rest.

    Heads of tasks are not packed, as in the paper; biases are frozen after the first task. In the paper a third of an
    experience's epochs come after pruning, which removes half to three quarters of the weights. Avalanche's form:
    pruned weights begin the next task at the values that they had, not at zero.

    Args:
        prune_proportion: share of each layer's weights that is pruned, among those that the task was trained on.
        retrained: share of an experience's updates that come after pruning.
    """
    from lifelong.workarounds.architecture import WorkingPackNet, WorkingPackNetModel

    if setup.budget.updates(1) is None:
        raise UsageError("packnet prunes after a share of the updates, which a budget in training_macs does not tell")
    try:
        model = WorkingPackNetModel(setup.model)
    except ValueError as error:
        raise UsageError(f"packnet cannot share out this network: {error}; mlp and cnn have what it takes") from None
    return _over(setup, model).naive(WorkingPackNet(prune_proportion, retrained, setup.budget))


@strategy(
    source="Lomonaco, Maltoni & Pellegrini 2020, Rehearsal-Free Continual Learning over Small Non-I.I.D. Batches, "
    "arXiv:1907.03799",
    needs={"single head", "task boundaries", "class labels", "feature extractor"},
    avalanche="CWRStar",
)
def cwr_star(setup: Setup) -> SupervisedTemplate:
    """CWR*: learn the features in the first experience, and then the weights of classes, set aside and averaged.

    Weights of a class are shifted to a mean of zero, and averaged by how often it has been seen. The paper begins with
    a pretrained network; here the features are those of the first experience alone. The classifier has no bias, as in
    the authors' code.
    """
    from lifelong.workarounds.architecture import WorkingCWRStar

    return setup.naive(WorkingCWRStar(setup.model))


@strategy(
    source="Maltoni & Lomonaco 2019, Continuous Learning in Single-Incremental-Task Scenarios, arXiv:1806.08568; "
    "with CWR* of Lomonaco et al. 2020, arXiv:1907.03799",
    needs={"single head", "task boundaries", "class labels", "feature extractor"},
    avalanche="AR1",
)
def ar1(setup: Setup, si_lambda: Weight = 100.0, eps: Positive = 1e-3) -> SupervisedTemplate:
    """AR1*: CWR* for the classifier, and synaptic intelligence for the features, which go on learning.

    Avalanche's own strategy is a MobileNet that was pretrained on ImageNet, with latent replay (Pellegrini et al. 2020,
    arXiv:1912.01100) and without synaptic intelligence. This one consists of the paper's two parts, works on any
    network, and has no memory.

    Args:
        si_lambda: weight of half the penalty on the features; the default is that of `si`, and was not searched for.
        eps: damping of the importance where a weight hardly moved.
    """
    from lifelong.workarounds.architecture import WorkingCWRStar

    from ..regularization.synaptic_intelligence import SynapticIntelligence

    features = SynapticIntelligence(si_lambda, eps, exclude=["classifier"])
    return setup.naive(features, WorkingCWRStar(setup.model, freeze_remaining_model=False))


@strategy(
    source="Aljundi, Chakravarty & Tuytelaars 2017, Expert Gate: Lifelong Learning with a Network of Experts, "
    "arXiv:1611.06194",
    needs={"single head", "task boundaries", "class labels"},
    avalanche="ExpertGateStrategy",
)
def expert_gate(setup: Setup, code: Count | None = None) -> SupervisedTemplate:
    """Expert gate: a network for each experience, and autoencoders that tell which of them a sample is for.

    Avalanche's own takes pretrained AlexNets only, and chooses one expert for a whole batch of test samples. This one
    takes any network, and chooses for each sample on its own, without a task label. Autoencoders read the samples
    themselves, because there are no pretrained features. They learn beside the expert, from the same batches. A new
    expert starts as a copy of the one whose autoencoder errs least on the new samples: by the paper's measure it is the
    most related. The paper goes on from there in two ways. This has fine-tuning, and not the distillation for tasks
    that are closely related.

    Args:
        code: number of hidden units of each autoencoder, less than the number of inputs; by default 100 as in the
            paper, or half the inputs where that is less.
    """
    from .experts import GatedExperts, TrainsGate

    return _over(setup, GatedExperts(setup.model, setup.inputs, code)).naive(TrainsGate())


@strategy(
    source="Avalanche's FromScratchTraining (no paper)", needs={"task boundaries"}, avalanche="FromScratchTraining"
)
def from_scratch(setup: Setup) -> SupervisedTemplate:
    """Train the initial network anew on each experience: nothing is kept, and nothing is carried over.

    It is the control `scratch`, under Avalanche's name. Avalanche's form resets parameters, but not the statistics of
    batch normalisation; here the whole network is as it was at first.
    """
    from ..controls.fresh import FromScratch

    return setup.naive(FromScratch())


def _over(setup: Setup, model: nn.Module) -> Setup:
    """Return the same setup over a network that is made from its own; Avalanche lets the optimizer follow."""
    return replace(setup, model=model.to(setup.device))
