"""scikit-learn's digits: 1,797 gray images of 8 x 8 pixels in ten classes, which need no download."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifelong.contracts import Context

from .base import DataSet, family

if TYPE_CHECKING:
    from lifelong.data.images import ImageData, Samples


def _read(train: bool) -> Samples:
    """Read the digits; every fifth sample of each class is a test sample, whatever the seed."""
    import torch
    from sklearn.datasets import load_digits

    from lifelong.data.images import Samples

    digits = load_digits()
    x = torch.from_numpy(digits.images).to(torch.uint8)[:, None]
    y = torch.from_numpy(digits.target).long()
    place_in_class = torch.nn.functional.one_hot(y).cumsum(0).gather(1, y[:, None])[:, 0]
    chosen = (place_in_class % 5 == 0) != train
    return Samples(x[chosen], y[chosen])


def _load(context: Context) -> ImageData:
    from lifelong.data.images import normalized

    return normalized(_read, context.device)


DATA = DataSet(
    name="digits",
    title="Ten handwritten digits of 8 x 8 pixels",
    load=_load,
    source="Alpaydin & Kaynak 1998, doi:10.24432/C50P49, as in scikit-learn",
    licence="CC BY 4.0",
    input_shape=(1, 8, 8),
    model={"name": "mlp", "widths": [100, 100]},
    budget={"epochs": 20, "batch_size": 32, "optimizer": "adam", "lr": 0.001},
    views=5,
    notes="Of each class, every fifth of scikit-learn's samples is for test: 1,442 to train on, 355 to test on.",
)

DIGITS = family(DATA)
