"""Strategies that leave a pretrained network as it is, and learn what to show it beside the image."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from lifelong.contracts import Count, Weight, strategy
from lifelong.errors import UsageError

if TYPE_CHECKING:
    from avalanche.training.templates import SupervisedTemplate

    from lifelong import Setup


@strategy(
    source="Wang et al. 2022, Learning to Prompt for Continual Learning, arXiv:2112.08654",
    needs={"task boundaries", "single head", "class labels", "feature extractor"},
    avalanche="LearningToPrompt",
)
def l2p(
    setup: Setup,
    backbone: str = "vit_base_patch16_224",
    pretrained: bool = True,
    pool_size: Count = 20,
    prompt_length: Count = 5,
    top_k: Count = 5,
    sim_coefficient: Weight = 0.1,
) -> SupervisedTemplate:
    """Learning to prompt (L2P): a pool of prompts for a pretrained transformer, of which each image finds its own.

    The transformer takes the place of the board's model, which only tells how many classes there are. Its weights are
    downloaded on first use, and it needs `pip install 'lifelong[pretrained]'`. Images are resized to what it reads, and
    keep the normalisation of their data set. The optimizer is the budget's; the paper's is Adam with a learning rate of
    0.03 for batches of 256. Avalanche's form cannot make its network with timm 1. Its prompts also have positions,
    which it interpolates; ours have none. The other defaults are Avalanche's.

    Args:
        backbone: name of a vision transformer of timm's.
        pretrained: whether it starts from published weights; with random weights it only tests the installation.
        pool_size: number of prompts in the pool.
        prompt_length: number of tokens of each prompt.
        top_k: number of prompts that each image is given.
        sim_coefficient: weight of the similarity between images and the keys of their prompts, the paper's lambda.
    """
    from lifelong.seeds import untouched_generators
    from lifelong.structure.holding.optimizers import add_parameters, drop_parameters

    from .transformer import PromptedTransformer, PromptTraining, make_transformer

    shape = setup.input_shape
    if len(shape) != 3 or shape[0] not in (1, 3):
        raise UsageError(f"l2p reads images of one or three channels, not samples of shape {list(shape)}")
    if top_k > pool_size:
        raise UsageError(f"l2p.top_k = {top_k} is more than there are prompts: pool_size = {pool_size}")
    with untouched_generators():
        transformer = make_transformer(backbone, pretrained)
        network = PromptedTransformer(transformer, setup.parts.outputs, pool_size, prompt_length, top_k)
    network.to(setup.device)
    drop_parameters(setup.optimizer, setup.model.parameters())
    add_parameters(setup.optimizer, (parameter for parameter in network.parameters() if parameter.requires_grad))
    return replace(setup, model=network).naive(PromptTraining(sim_coefficient))
