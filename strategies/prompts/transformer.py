"""Learning to prompt: a vision transformer that is frozen, and the prompts that are learnt for it."""

from __future__ import annotations

from typing import Any

import torch
from avalanche.core import SupervisedPlugin
from avalanche.models import Prompt
from avalanche.training.templates import SupervisedTemplate
from torch import Tensor, nn
from torch.nn.functional import interpolate

from lifelong.errors import UsageError


class PromptedTransformer(nn.Module):
    """Chooses prompts by the transformer's feature of an image, and classifies by the transformer's outputs for them.

    Images are resized to what the transformer reads. An image of a single channel is repeated in all three. Prompts
    stand between the class token and the image's, and have no position.

    Args:
        transformer: one of timm's, without a classifier.
        classes: number of classes.
        pool_size: number of prompts.
        prompt_length: number of tokens of each prompt.
        top_k: number of prompts for each image.

    Attributes:
        match: sum of the cosine similarities of an image with the keys of its prompts, as a mean over the last batch.
    """

    match: Tensor

    def __init__(self, transformer: Any, classes: int, pool_size: int, prompt_length: int, top_k: int) -> None:
        super().__init__()
        self.transformer = transformer.requires_grad_(False)
        self.prompt = Prompt(
            prompt_length,
            transformer.embed_dim,
            embedding_key="cls",
            prompt_pool=True,
            prompt_key=True,
            pool_size=pool_size,
            top_k=top_k,
        )
        self.classifier = nn.Linear(transformer.embed_dim, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits of shape (n, classes), from images of shape (n, 1 or 3, height, width)."""
        vit = self.transformer.eval()
        x = interpolate(x, vit.patch_embed.img_size, mode="bilinear", antialias=True).expand(-1, 3, -1, -1)
        with torch.no_grad():
            query = vit(x)
            tokens = vit._pos_embed(vit.patch_embed(x))
        prefix = vit.num_prefix_tokens
        prompted = self.prompt(tokens[:, prefix:], cls_features=query)
        self.match = prompted["reduce_sim"]
        read = vit.norm(vit.blocks(vit.norm_pre(torch.cat([tokens[:, :prefix], prompted["prompted_embedding"]], 1))))
        logits: Tensor = self.classifier(read[:, prefix : prefix + prompted["total_prompt_len"]].mean(1))
        return logits

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "match"}  # its graph cannot be copied


class PromptTraining(SupervisedPlugin):
    """Lets new samples compete among the classes of their experience, and draws the keys of their prompts towards them.

    Args:
        sim_coefficient: weight of the cosine similarities.
    """

    def __init__(self, sim_coefficient: float) -> None:
        super().__init__()
        self.sim_coefficient = sim_coefficient

    def after_forward(self, strategy: SupervisedTemplate, **_: object) -> None:
        absent = torch.ones(strategy.mb_output.shape[1], dtype=torch.bool, device=strategy.device)
        absent[sorted(strategy.experience.classes_in_this_experience)] = False
        strategy.mb_output = strategy.mb_output.masked_fill(absent, -torch.inf)

    def before_backward(self, strategy: SupervisedTemplate, **_: object) -> None:
        strategy.loss = strategy.loss - self.sim_coefficient * strategy.model.match


def make_transformer(name: str, pretrained: bool) -> Any:
    """Make one of timm's vision transformers, without a classifier.

    Raises:
        UsageError: if timm, the transformer or its weights are not available.
    """
    try:
        import timm
    except ImportError:
        raise UsageError("l2p needs timm: pip install 'lifelong[pretrained]'") from None
    if name not in timm.list_models("*vit*", module="vision_transformer"):
        raise UsageError(f"l2p.backbone = {name!r}: timm has no such vision transformer")
    try:
        return timm.create_model(name, pretrained=pretrained, num_classes=0)
    except (OSError, RuntimeError) as error:
        raise UsageError(
            f"the weights of {name} are not at hand, and cannot be downloaded ({type(error).__name__}); "
            "with --set l2p.pretrained=false they are random, which tests the installation alone"
        ) from None
