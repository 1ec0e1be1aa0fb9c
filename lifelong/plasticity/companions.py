"""Refuses, before any training and with the reason, what cannot go on beside a changing network."""

from __future__ import annotations

from typing import Any

from avalanche.models.packnet import PackNetPlugin
from avalanche.training.plugins import CWRStarPlugin, FeatureDistillationPlugin, LFLPlugin
from avalanche.training.templates import SupervisedMetaLearningTemplate

from lifelong.errors import UsageError

_COMPARES = "it compares each feature with the same one of an older network, which may have other features"
_REFUSED = {
    PackNetPlugin: "it keeps the masks of its tasks in modules of its own, which no change reaches",
    CWRStarPlugin: "it writes stored rows into the last layer's weights, which may be of another width by then",
    LFLPlugin: _COMPARES,
    FeatureDistillationPlugin: _COMPARES,
}


def check_companions(strategy: Any) -> None:
    """Check whether a strategy and the plug-ins in it can follow a change of its network.

    Of Avalanche's plug-ins it is known here; any other may say that it cannot in an attribute `cannot_follow`, which
    holds the reason.

    Raises:
        UsageError: if one of them cannot, with the reason.
    """
    if isinstance(strategy, SupervisedMetaLearningTemplate):
        raise UsageError(
            f"Plasticity does not work in {type(strategy).__name__}: a meta-learning strategy of Avalanche's tells its "
            "plug-ins of no update, and goes back to weights of the shape that they had before"
        )
    for plugin in strategy.plugins:
        known = next((reason for kind, reason in _REFUSED.items() if isinstance(plugin, kind)), None)
        if reason := getattr(plugin, "cannot_follow", known):
            raise UsageError(f"Plasticity does not work beside {type(plugin).__name__}: {reason}")
