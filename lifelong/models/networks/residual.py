"""Residual networks for small images."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

from lifelong.models.contract import model
from lifelong.models.networks._layers import check_image, check_positive

if TYPE_CHECKING:
    from torch import nn

HE = "He et al. 2016, Deep Residual Learning for Image Recognition, arXiv:1512.03385"


@model(source="Lopez-Paz & Ranzato 2017, arXiv:1706.08840, section 5")
def slim_resnet18(input_shape: tuple[int, ...], width: int = 20) -> nn.Module:
    """The ResNet-18 that Lopez-Paz & Ranzato (2017) reduced to fewer feature maps, for images of any size.

    The stages are those of Avalanche, whose own network takes only images of 3 x 32 x 32. Each feature is the mean of a
    feature map over the image, so that there are 8 * width features.

    Args:
        input_shape: (channels, height, width) of one image.
        width: the feature maps of the first stage; each later stage has twice as many as the one before.

    Raises:
        ValueError: if the input is no image, or the width is not positive.
    """
    return _resnet18(input_shape, width)


@model(source=f"{HE}, Table 1")
def resnet18(input_shape: tuple[int, ...], width: int = 64) -> nn.Module:
    """The ResNet-18 for small images: its first convolution is 3 x 3 with stride 1, and no pooling follows it.

    That form is common in continual learning. For large images, `torchvision:resnet18` has the form of the paper.

    Args:
        input_shape: (channels, height, width) of one image.
        width: the feature maps of the first stage; each later stage has twice as many as the one before.

    Raises:
        ValueError: if the input is no image, or the width is not positive.
    """
    return _resnet18(input_shape, width)


@model(source=f"{HE}, section 4.2")
def resnet32(input_shape: tuple[int, ...], width: int = 16, blocks: int = 5) -> nn.Module:
    """The ResNet-32 for small images: three stages of five blocks each, with 16, 32 and 64 feature maps.

    Where a stage begins, the shortcut is the image at every second place, with channels of zeros appended (option A of
    the paper). Each feature is the mean of a feature map, so that there are 4 * width of them.

    Args:
        input_shape: (channels, height, width) of one image.
        width: the feature maps of the first stage; each later stage has twice as many as the one before.
        blocks: the blocks of each stage; there are 6 * blocks + 2 layers.

    Raises:
        ValueError: if the input is no image, or the width or the blocks are not positive.
    """
    from torch import nn

    from lifelong.models.blocks import ResidualBlock, conv3x3

    channels, _, _ = check_image(input_shape)
    check_positive("width", (width,))
    check_positive("blocks", (blocks,))
    layers = [("conv1", conv3x3(channels, width)), ("bn1", nn.BatchNorm2d(width)), ("relu1", nn.ReLU())]
    incoming = width
    for stage in range(3):
        outgoing = width * 2**stage
        strides = [1 if stage == 0 else 2] + [1] * (blocks - 1)
        stacked = []
        for stride in strides:
            stacked.append(ResidualBlock(incoming, outgoing, stride))
            incoming = outgoing
        layers.append((f"layer{stage + 1}", nn.Sequential(*stacked)))
    return nn.Sequential(OrderedDict([*layers, ("pool", nn.AdaptiveAvgPool2d(1)), ("flatten", nn.Flatten())]))


def _resnet18(input_shape: tuple[int, ...], width: int) -> nn.Module:
    from avalanche.models.slim_resnet18 import SlimResNet18, conv3x3
    from torch import nn

    channels, _, _ = check_image(input_shape)
    check_positive("width", (width,))
    stock = SlimResNet18(nclasses=1, nf=width)
    stages = [(f"layer{number}", getattr(stock, f"layer{number}")) for number in range(1, 5)]
    return nn.Sequential(
        OrderedDict(
            [
                ("conv1", conv3x3(channels, width)),
                ("bn1", nn.BatchNorm2d(width)),
                ("relu1", nn.ReLU()),
                *stages,
                ("pool", nn.AdaptiveAvgPool2d(1)),
                ("flatten", nn.Flatten()),
            ]
        )
    )
