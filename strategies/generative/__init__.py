"""Strategies that learn to draw what they have seen, or keep the features that it had."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifelong.contracts import Count, Positive, Weight, strategy

if TYPE_CHECKING:
    from avalanche.training.templates import SupervisedTemplate

    from lifelong import Setup


@strategy(
    source="Shin et al. 2017, Continual Learning with Deep Generative Replay, arXiv:1705.08690; "
    "as by van de Ven & Tolias 2019, arXiv:1904.07734; distilled: van de Ven & Tolias 2018, arXiv:1809.10635",
    needs={"task boundaries", "class labels"},
    avalanche="GenerativeReplay",
)
def generative_replay(
    setup: Setup,
    distill: bool = False,
    temperature: Positive = 2.0,
    units: Count = 400,
    latent: Count = 100,
    generator_lr: Positive = 1e-3,
) -> SupervisedTemplate:
    """Deep generative replay (DGR): replay what a generator draws, labelled by the network of before the experience.

    The generator is the variational autoencoder of van de Ven & Tolias, and so are the defaults. It is trained beside
    the network, on the same batches. With task labels, each replayed sample is labelled by the heads of all earlier
    tasks. Shin et al. draw with a GAN that is trained by itself. Avalanche's form differs: its generator is trained
    after the network, decodes to the mean and deviation of MNIST whatever the data, adds too little noise to its codes,
    and weighs replayed samples as much as new ones, however many experiences they stand for.

    Args:
        distill: whether the network's softmax is replayed, instead of its likeliest class.
        temperature: temperature of that softmax.
        units: number of units of each hidden layer of the generator; encoder and decoder have two each.
        latent: number of dimensions of its code.
        generator_lr: learning rate of its Adam.
    """
    from lifelong.seeds import untouched_generators

    from .dream_replay import VAE, DreamReplay

    with untouched_generators():  # the network's training draws as if there were no generator to initialise
        generator = VAE(setup.input_shape, units, latent).to(setup.device)
    return setup.naive(DreamReplay(generator, generator_lr, temperature if distill else None))


@strategy(
    source="Magistri et al. 2024, Elastic Feature Consolidation for Cold Start Exemplar-Free Incremental Learning, "
    "arXiv:2402.03917",
    needs={"task boundaries", "single head", "class labels", "feature extractor"},
    avalanche="FeatureReplay",
)
def feature_replay(
    setup: Setup, mem_size: Count = 200, alpha: Weight = 100.0, batch_size_mem: Count | None = None
) -> SupervisedTemplate:
    """Feature replay: train the classifier again on stored features of old samples, and the features on new ones alone.

    New samples compete only among the classes of their experience when they train the features (the paper's PR-ACE).
    Avalanche's form: features are kept as they were when stored; the paper draws them around class means that it moves
    with the network. The network's features must not drift far from those that are stored. The paper weighs their drift
    by an empirical feature matrix; here it is Avalanche's cosine distance to the features of the network before.

    Args:
        mem_size: number of features in the memory, over all classes.
        alpha: weight of the distance; with 0 the features are free; the default is the best of 3, 10, 30, 100 and 300
            by the mean accuracy over digits-class and digits-domain, on a validation split of a fifth of the training
            samples, with seeds 100 and 101 and ten epochs.
        batch_size_mem: number of features taken from the memory for each batch; by default as many as the training
            batch has samples.
    """
    from lifelong.workarounds.features import WorkingFeatureDistillation, WorkingFeatureReplay

    setup.check_memory(mem_size, "classes")
    return setup.make(
        WorkingFeatureReplay,
        plugins=[WorkingFeatureDistillation(alpha)] if alpha else [],
        mem_size=mem_size,
        batch_size_mem=batch_size_mem or setup.budget.batch_size,
    )
