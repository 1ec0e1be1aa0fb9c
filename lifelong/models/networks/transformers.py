"""Vision transformers for small images."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifelong.models.contract import model
from lifelong.models.networks._layers import check_image, check_positive

if TYPE_CHECKING:
    from torch import nn


@model(source="Dosovitskiy et al. 2021, arXiv:2010.11929")
def vit(
    input_shape: tuple[int, ...],
    patch: int = 4,
    width: int = 64,
    depth: int = 4,
    heads: int = 4,
    hidden: int = 128,
    dropout: float = 0.0,
) -> nn.Module:
    """A small vision transformer, of torchvision's modules; its features are those of the class token.

    The sizes are ours: about 140,000 weights for images of 32 x 32, which a processor trains.

    Args:
        input_shape: (channels, height, width) of one image; height and width are equal.
        patch: the side of a patch in pixels; it divides the side of the image.
        width: the features of a token; the heads share them equally.
        depth: the number of blocks.
        heads: the heads of each attention.
        hidden: the hidden units of each block's MLP.
        dropout: the probability, in [0, 1), that a feature is dropped in training.

    Raises:
        ValueError: if the input is no image, or sizes do not divide each other or are out of range.
    """
    from torch import nn
    from torchvision.models import VisionTransformer

    channels, height, side = check_image(input_shape)
    for name, size in (("patch", patch), ("width", width), ("depth", depth), ("heads", heads), ("hidden", hidden)):
        check_positive(name, (size,))
    if height != side or side % patch:
        raise ValueError(f"takes square images in patches of {patch} pixels, not {height} x {side}; choose 'patch'")
    if width % heads:
        raise ValueError(f"width = {width} is not divisible by heads = {heads}")
    if not 0 <= dropout < 1:
        raise ValueError(f"dropout = {dropout} is not in [0, 1)")
    network = VisionTransformer(side, patch, depth, heads, width, hidden, dropout, num_classes=1)
    if channels != 3:
        network.conv_proj = nn.Conv2d(channels, width, kernel_size=patch, stride=patch)
        nn.init.trunc_normal_(network.conv_proj.weight, std=(channels * patch**2) ** -0.5)  # as torchvision does
        nn.init.zeros_(network.conv_proj.bias)
    network.heads = nn.Identity()
    features: nn.Module = network
    return features
