"""Sixty small generated images, learnt in a second: to try out a strategy, a board or an installation."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from lifelong.contracts import Context, Scenario

from .base import SPLITS, DataSet, family

if TYPE_CHECKING:
    from lifelong.data.images import ImageData, Samples

CLASSES, TRAIN, TEST, SIDE = 6, 6, 4, 4


def _read(train: bool) -> Samples:
    """Generate samples: a class is a random pattern of dark and bright pixels, a sample that pattern with noise."""
    import numpy as np
    import torch

    from lifelong.data.images import Samples

    patterns = np.random.default_rng(0).choice([64, 192], size=(CLASSES, 1, 1, SIDE, SIDE))
    count = TRAIN if train else TEST
    noise = np.random.default_rng(1 if train else 2).normal(0, 32, size=(CLASSES, count, 1, SIDE, SIDE))
    x = (patterns + noise).clip(0, 255).astype(np.uint8)
    return Samples(torch.from_numpy(x).flatten(0, 1), torch.arange(CLASSES).repeat_interleave(count))


def _load(context: Context) -> ImageData:
    from lifelong.data.images import normalized

    return normalized(_read, context.device)


def _toys() -> tuple[Scenario, ...]:
    first, *others = family(
        DataSet(
            name="toy",
            title="Six generated classes",
            load=_load,
            source="generated",
            licence="CC0",
            input_shape=(1, SIDE, SIDE),
            model={"name": "mlp", "widths": [32]},
            budget={"epochs": 20, "batch_size": 4, "optimizer": "adam", "lr": 0.01},
            experiences=3,
            notes="36 images of 4 x 4 pixels to train on and 24 to test on, the same for every seed.",
        ),
        SPLITS,
    )
    return replace(first, name="toy"), *others


TOYS = _toys()
