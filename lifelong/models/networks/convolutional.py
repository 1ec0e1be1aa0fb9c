"""Small convolutional networks, for images and for sequences."""

from __future__ import annotations

from collections import OrderedDict
from math import prod
from typing import TYPE_CHECKING

from lifelong.models.contract import model
from lifelong.models.networks._layers import (
    Activation,
    Normalization,
    activation_of,
    as_rows,
    check_image,
    check_positive,
    check_sequence,
    fully_connected,
    normalization_of,
    widening,
)

if TYPE_CHECKING:
    from torch import nn


@model()
def cnn(
    input_shape: tuple[int, ...],
    channels: tuple[int, ...] = (32, 64),
    widths: tuple[int, ...] = (128,),
    dropout: float = 0.0,
    activation: Activation = "relu",
    normalization: Normalization = "none",
) -> nn.Module:
    """A small convolutional network for images: 3 x 3 convolutions, each with 2 x 2 max pooling, then an MLP.

    Args:
        input_shape: (channels, height, width) of one image.
        channels: the output channels of each convolution; the pooling after it halves height and width, rounded up.
        widths: the units of each fully connected hidden layer.
        dropout: the probability, in [0, 1), that a unit of those layers is dropped in training.
        activation: the nonlinearity of all layers; `crelu` gives each channel and unit two outputs.
        normalization: what is normalised before each nonlinearity.

    Raises:
        ValueError: if the input is no image, or a number of channels, a width or the dropout is out of range.
    """
    return _network([], check_image(input_shape), channels, widths, dropout, activation, normalization)


@model()
def cnn1d(
    input_shape: tuple[int, ...],
    channels: tuple[int, ...] = (32, 64),
    widths: tuple[int, ...] = (128,),
    dropout: float = 0.0,
    activation: Activation = "relu",
    normalization: Normalization = "none",
) -> nn.Module:
    """A small convolutional network for sequences: convolutions over 3 steps, each with max pooling, then an MLP.

    Args:
        input_shape: (channels, steps) of one sequence, or a gray image, whose rows are the channels.
        channels: the output channels of each convolution; the pooling after it halves the steps, rounded up.
        widths: the units of each fully connected hidden layer.
        dropout: the probability, in [0, 1), that a unit of those layers is dropped in training.
        activation: the nonlinearity of all layers; `crelu` gives each channel and unit two outputs.
        normalization: what is normalised before each nonlinearity.

    Raises:
        ValueError: if the input is no sequence, or a number of channels, a width or the dropout is out of range.
    """
    first, shape = as_rows(input_shape), check_sequence(input_shape)
    return _network(first, shape, channels, widths, dropout, activation, normalization)


def _network(
    first: list[tuple[str, nn.Module]],
    shape: tuple[int, ...],
    channels: tuple[int, ...],
    widths: tuple[int, ...],
    dropout: float,
    activation: Activation,
    normalization: Normalization,
) -> nn.Module:
    """Return some first layers, then convolutions with what follows each, then an MLP.

    Args:
        first: the first layers, by name.
        shape: the shape of one sample behind them: (channels, steps), or (channels, height, width).
        channels: the output channels of each convolution.
        widths: the units of each fully connected hidden layer.
        dropout: the probability that a unit of those layers is dropped.
        activation: the nonlinearity.
        normalization: what is normalised before it.
    """
    from torch import nn

    check_positive("channels", channels)
    incoming, *sizes = shape
    one = len(sizes) == 1
    convolution, pooling = (nn.Conv1d, nn.MaxPool1d) if one else (nn.Conv2d, nn.MaxPool2d)
    layers = [*first]
    for number, outgoing in enumerate(channels, start=1):
        layers.append((f"conv{number}", convolution(incoming, outgoing, 3, padding=1)))
        layers += [(f"conv{number}_norm", norm) for norm in normalization_of(normalization, outgoing, len(sizes))]
        layers.append((f"conv{number}_{activation.replace('-', '_')}", activation_of(activation)))
        layers.append((f"pool{number}", pooling(2, ceil_mode=True)))
        incoming, sizes = outgoing * widening(activation), [(size + 1) // 2 for size in sizes]
    layers += fully_connected(incoming * prod(sizes), widths, dropout, activation, normalization)
    return nn.Sequential(OrderedDict(layers))
