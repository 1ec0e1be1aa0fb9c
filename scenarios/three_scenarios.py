"""MNIST as van de Ven & Tolias (2019) use it to compare the three scenarios: pixels in [0, 1], with no other change.

A benchmark is fixed by more than its data: each scenario here carries the network and the budget of the paper.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from lifelong.contracts import Context

from . import mnist
from .base import SPLITS, VIEWS, DataSet, family

if TYPE_CHECKING:
    from torch import Tensor

    from lifelong.data.images import ImageData

PADDING = 2
"""Number of black pixels that are added on each side of an image before its pixels are permuted."""

AUTHORS = """Network, optimizer and iterations are the authors'. They leave out the last, smaller batch of each pass;
here it is trained on."""


def _pixels(context: Context) -> ImageData:
    """Return MNIST with each pixel's grey level in [0, 1]."""
    import torch

    data = mnist.DATA.load(context)
    black, white = data.black, data.train.x.amax()

    def grey(x: Tensor) -> Tensor:
        return (x - black) / (white - black)

    train, test = (split._replace(x=grey(split.x)) for split in (data.train, data.test))
    return replace(data, train=train, test=test, black=torch.zeros_like(black))


def _padded(context: Context) -> ImageData:
    """Return the same images with black around them."""
    from torch.nn.functional import pad

    data = _pixels(context)
    train, test = (split._replace(x=pad(split.x, (PADDING,) * 4)) for split in (data.train, data.test))
    return replace(data, train=train, test=test)


COMMON: dict[str, Any] = {
    "name": "three-scenarios",
    "title": "MNIST's ten digits as grey levels in [0, 1]",
    "source": mnist.DATA.source,
    "licence": mnist.DATA.licence,
    "download_mb": mnist.DATA.download_mb,
    "check": mnist.DATA.check,
}

SPLIT = DataSet(
    **COMMON,
    load=_pixels,
    input_shape=(1, 28, 28),
    model={"name": "mlp", "widths": [400, 400]},
    budget={"iterations": 2000, "batch_size": 128, "optimizer": "adam", "lr": 0.001},
    notes=f"As for the authors, the seed draws which digits go together. {AUTHORS}",
)

PERMUTED = DataSet(
    **COMMON,
    load=_padded,
    input_shape=(1, 32, 32),
    model={"name": "mlp", "widths": [1000, 1000]},
    budget={"iterations": 5000, "batch_size": 128, "optimizer": "adam", "lr": 0.0001},
    notes=f"Images are padded to 32 x 32 pixels first. {AUTHORS}",
)

CLASS = replace(
    SPLIT,
    model={**SPLIT.model, "head": "incremental"},
    notes=f"Outputs of classes not seen yet are masked, in training too. {AUTHORS}",
)

SCENARIOS = (
    *family(CLASS, SPLITS[:1]),
    *family(SPLIT, SPLITS[1:]),
    *family(PERMUTED, VIEWS[:1]),
)
