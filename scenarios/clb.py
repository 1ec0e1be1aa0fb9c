"""MNIST in the settings of ContinualAI's continual-learning-baselines (CLB): network and budget of each script.

All scenarios differ from the scripts in two points: the seed draws the class order, which some of the scripts fix, and
the first experience of permuted pixels is not permuted.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from lifelong.contracts import Scenario

from . import mnist
from .base import SPLITS, VIEWS, Way, family

BY_CLASS, _, BY_TASK = SPLITS
PERMUTED = VIEWS[0]
ONLINE = {"epochs": 1, "batch_size": 10, "optimizer": "sgd", "lr": 0.1}


def _setting(
    name: str, way: Way, script: str, widths: list[int], budget: dict[str, Any], notes: str = "", **changed: Any
) -> Scenario:
    """Make one scenario, called `clb-<name>-mnist-<way>`.

    Args:
        name: name of the method that is trained in it.
        way: how MNIST becomes a stream.
        script: path of the script.
        widths: widths of the MLP's hidden layers.
        budget: budget of the script.
        notes: what is different in the script.
        changed: other fields of the data set that change.
    """
    data = replace(
        mnist.DATA,
        name=f"clb-{name}-mnist",
        notes=f"Network and budget are those of {script} in continual-learning-baselines. {notes}".strip(),
        **{"model": {"name": "mlp", "widths": widths}, "budget": budget, **changed},
    )
    (scenario,) = family(data, (way,))
    return scenario


SETTINGS = (
    _setting(
        "penalties",
        BY_TASK,
        "split_mnist/synaptic_intelligence.py and rwalk.py",
        [256, 256],
        {"epochs": 10, "batch_size": 64, "optimizer": "adam", "lr": 0.001},
    ),
    _setting(
        "lwf",
        BY_CLASS,
        "split_mnist/lwf.py",
        [200],
        {"epochs": 21, "batch_size": 128, "optimizer": "sgd", "lr": 0.001},
        "Their units are tanh.",
    ),
    _setting(
        "replay",
        BY_CLASS,
        "split_mnist/online_replay.py",
        [512],
        ONLINE,
        "They hold a\ntwentieth of the training samples out, and make each ten samples an experience, in the memory "
        "from then on.",
        model={"name": "mlp", "widths": [512], "dropout": 0.5},
    ),
    _setting(
        "gdumb",
        BY_CLASS,
        "split_mnist/gdumb.py",
        [400, 400],
        {"epochs": 10, "batch_size": 16, "optimizer": "sgd", "lr": 0.1},
    ),
    _setting(
        "ewc",
        PERMUTED,
        "permuted_mnist/ewc.py",
        [512],
        {"epochs": 10, "batch_size": 256, "optimizer": "sgd", "lr": 0.001},
    ),
    _setting(
        "si",
        PERMUTED,
        "permuted_mnist/synaptic_intelligence.py",
        [1000],
        {"epochs": 10, "batch_size": 256, "optimizer": "adam", "lr": 0.001},
    ),
    _setting(
        "lfl",
        PERMUTED,
        "permuted_mnist/lfl.py",
        [256],
        {"epochs": 3, "batch_size": 128, "optimizer": "sgd", "lr": 0.01},
        views=4,
    ),
    _setting("gem", PERMUTED, "permuted_mnist/gem.py", [100, 100], ONLINE, views=17),
    _setting(
        "gem-short",
        PERMUTED,
        "permuted_mnist/gem.py",
        [100, 100],
        ONLINE,
        "Five\nexperiences, as in their test of it.",
        views=5,
    ),
    _setting("agem", PERMUTED, "permuted_mnist/agem.py", [256, 256], ONLINE, views=17),
)
