"""CIFAR-10 and CIFAR-100: 60,000 color images of 32 x 32 pixels, 10,000 of them for test."""

from __future__ import annotations

from typing import Any

from .base import DataSet, downloaded, family

COMMON: dict[str, Any] = {
    "source": "Krizhevsky 2009, Learning multiple layers of features from tiny images",
    "licence": "none stated by the authors",
    "input_shape": (3, 32, 32),
    "model": {"name": "slim-resnet18"},
    # One pass in batches of ten, as Lopez-Paz & Ranzato (2017) train this network on CIFAR-100.
    "budget": {"epochs": 1, "batch_size": 10, "optimizer": "sgd", "lr": 0.1},
}

CIFAR10 = family(
    DataSet(name="cifar10", title="CIFAR-10's ten classes", download_mb=170.5, **downloaded("CIFAR10"), **COMMON)
)

CIFAR100 = family(
    DataSet(
        name="cifar100",
        title="CIFAR-100's hundred classes",
        download_mb=169.0,
        experiences=10,
        **downloaded("CIFAR100"),
        **COMMON,
    )
)
