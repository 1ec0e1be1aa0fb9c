"""Feature extractors: functions from an input shape and typed keyword parameters to a network that gives flat features.

Torch and Avalanche are imported when a network is built, so that listing the models costs nothing.
"""

from __future__ import annotations

from collections import OrderedDict
from math import prod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn


def mlp(input_shape: tuple[int, ...], widths: tuple[int, ...] = (400, 400), dropout: float = 0.0) -> nn.Module:
    """Fully connected layers with ReLU; by default two of 400 units, as in van de Ven & Tolias (2019).

    >>> import torch
    >>> mlp((1, 8, 8), widths=(20, 10))(torch.zeros(3, 1, 8, 8)).shape
    torch.Size([3, 10])

    Args:
        input_shape: the shape of one sample, which may be any.
        widths: the units of each hidden layer; an empty tuple gives a linear model.
        dropout: the probability, in [0, 1), that a hidden unit is dropped in training.

    Raises:
        ValueError: if a width or the dropout is out of range.
    """
    from torch import nn

    return nn.Sequential(OrderedDict(_fully_connected(prod(input_shape), widths, dropout)))


def cnn(
    input_shape: tuple[int, ...],
    channels: tuple[int, ...] = (32, 64),
    widths: tuple[int, ...] = (128,),
    dropout: float = 0.0,
) -> nn.Module:
    """A small convolutional network: 3 x 3 convolutions, each with ReLU and 2 x 2 max pooling, then an MLP.

    >>> import torch
    >>> cnn((1, 8, 8), channels=(4,), widths=())(torch.zeros(3, 1, 8, 8)).shape
    torch.Size([3, 64])

    Args:
        input_shape: (channels, height, width) of one image.
        channels: the output channels of each convolution; the pooling after it halves height and width, rounded up.
        widths: the units of each fully connected hidden layer.
        dropout: the probability, in [0, 1), that a unit of those layers is dropped in training.

    Raises:
        ValueError: if the input is no image, or a number of channels, a width or the dropout is out of range.
    """
    from torch import nn

    incoming, height, width = _image(input_shape)
    _positive("channels", channels)
    layers: list[tuple[str, nn.Module]] = []
    for number, outgoing in enumerate(channels, start=1):
        layers += [
            (f"conv{number}", nn.Conv2d(incoming, outgoing, 3, padding=1)),
            (f"conv{number}_relu", nn.ReLU()),
            (f"pool{number}", nn.MaxPool2d(2, ceil_mode=True)),
        ]
        incoming, height, width = outgoing, (height + 1) // 2, (width + 1) // 2
    return nn.Sequential(OrderedDict(layers + _fully_connected(incoming * height * width, widths, dropout)))


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
    from avalanche.models.slim_resnet18 import SlimResNet18, conv3x3
    from torch import nn

    channels, _, _ = _image(input_shape)
    _positive("width", (width,))
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


def _fully_connected(inputs: int, widths: tuple[int, ...], dropout: float) -> list[tuple[str, nn.Module]]:
    from torch import nn

    _positive("widths", widths)
    if not 0 <= dropout < 1:
        raise ValueError(f"dropout = {dropout} is not in [0, 1)")
    layers: list[tuple[str, nn.Module]] = [("flatten", nn.Flatten())]
    for number, width in enumerate(widths, start=1):
        layers += [(f"fc{number}", nn.Linear(inputs, width)), (f"fc{number}_relu", nn.ReLU())]
        if dropout:
            layers.append((f"fc{number}_dropout", nn.Dropout(dropout)))
        inputs = width
    return layers


def _image(input_shape: tuple[int, ...]) -> tuple[int, int, int]:
    if len(input_shape) != 3:
        raise ValueError(f"takes images of shape (channels, height, width), not {input_shape}; 'mlp' takes any input")
    channels, height, width = input_shape
    return channels, height, width


def _positive(name: str, sizes: tuple[int, ...]) -> None:
    if any(size < 1 for size in sizes):
        raise ValueError(f"{name} = {list(sizes)}: each must be at least 1")
