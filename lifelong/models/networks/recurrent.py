"""Recurrent networks, for sequences."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Literal

from lifelong.models.contract import model
from lifelong.models.networks._layers import as_rows, check_positive, check_sequence

if TYPE_CHECKING:
    from torch import nn


@model(source="Hochreiter & Schmidhuber 1997, doi:10.1162/neco.1997.9.8.1735")
def lstm(input_shape: tuple[int, ...], width: int = 128, layers: int = 1) -> nn.Module:
    """A network of long short-term memory (LSTM) cells; its features are the state after the last step.

    Args:
        input_shape: (steps, features) of one sequence, or a gray image, whose rows are the steps.
        width: the cells of each layer.
        layers: the number of layers.

    Raises:
        ValueError: if the input is no sequence, or the width or the layers are not positive.
    """
    return _recurrent("LSTM", input_shape, width, layers)


@model(source="Cho et al. 2014, arXiv:1406.1078")
def gru(input_shape: tuple[int, ...], width: int = 128, layers: int = 1) -> nn.Module:
    """A network of gated recurrent units (GRU); its features are the state after the last step.

    Args:
        input_shape: (steps, features) of one sequence, or a gray image, whose rows are the steps.
        width: the units of each layer.
        layers: the number of layers.

    Raises:
        ValueError: if the input is no sequence, or the width or the layers are not positive.
    """
    return _recurrent("GRU", input_shape, width, layers)


def _recurrent(kind: Literal["LSTM", "GRU"], input_shape: tuple[int, ...], width: int, layers: int) -> nn.Module:
    from torch import nn

    from lifelong.models.blocks import LastStep

    _, features = check_sequence(input_shape)
    check_positive("width", (width,))
    check_positive("layers", (layers,))
    cells = getattr(nn, kind)(features, width, layers, batch_first=True)
    return nn.Sequential(OrderedDict([*as_rows(input_shape), (kind.lower(), LastStep(cells))]))
