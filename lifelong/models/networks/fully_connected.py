"""Networks of fully connected layers."""

from __future__ import annotations

from collections import OrderedDict
from math import prod
from typing import TYPE_CHECKING

from lifelong.models.contract import model
from lifelong.models.networks._layers import Activation, Normalization, fully_connected

if TYPE_CHECKING:
    from torch import nn


@model()
def mlp(
    input_shape: tuple[int, ...],
    widths: tuple[int, ...] = (400, 400),
    dropout: float = 0.0,
    activation: Activation = "relu",
    normalization: Normalization = "none",
) -> nn.Module:
    """Fully connected layers, for samples of any shape; by default two of 400 units, as in van de Ven & Tolias (2019).

    Args:
        input_shape: the shape of one sample.
        widths: the units of each hidden layer; an empty list gives a linear model.
        dropout: the probability, in [0, 1), that a hidden unit is dropped in training.
        activation: the nonlinearity of the hidden layers; `crelu` gives each unit two outputs.
        normalization: what is normalised before the nonlinearity.

    Raises:
        ValueError: if a width or the dropout is out of range.
    """
    from torch import nn

    return nn.Sequential(OrderedDict(fully_connected(prod(input_shape), widths, dropout, activation, normalization)))
