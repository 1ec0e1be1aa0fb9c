"""Progressive networks whose first column is a network of the suite."""

from __future__ import annotations

from typing import TYPE_CHECKING

from avalanche.models import MultiHeadClassifier
from torch import nn

from lifelong.errors import UsageError
from lifelong.workarounds.architecture import WorkingPNN

if TYPE_CHECKING:
    from lifelong import Setup


def progressive(setup: Setup, adapter: str) -> WorkingPNN:
    """Make a progressive network whose first column and heads are those of the setup's network.

    Args:
        setup: a setup whose network's features are linear layers, each with ReLU.
        adapter: `mlp` or `linear`, how later columns read earlier ones.

    Raises:
        UsageError: if the network is not of that kind, or has no head for each task.
    """
    parts = setup.parts
    if not isinstance(parts.classifier, MultiHeadClassifier):
        raise UsageError("pnn gives each task a head; use --set model.head=protocol")
    layers = _layers(parts.features)
    network = WorkingPNN(layers[0].in_features, [layer.out_features for layer in layers], parts.classifier, adapter)
    network.begin_as(layers)
    return network


def _layers(features: nn.Module) -> list[nn.Linear]:
    """Return the linear layers of features that consist of nothing else but ReLU.

    Raises:
        UsageError: if there are other layers.
    """
    layers = [module for module in features.children() if not isinstance(module, nn.Flatten)]
    kinds = [type(module) for module in layers]
    if not layers or kinds != [nn.Linear, nn.ReLU] * (len(layers) // 2):
        names = ", ".join(sorted({kind.__name__ for kind in kinds} - {"Linear", "ReLU"})) or "no hidden layer"
        raise UsageError(
            f"pnn builds columns of linear layers, each with ReLU, and this network has {names}; use model.name=mlp "
            "without dropout"
        )
    return [layer for layer in layers if isinstance(layer, nn.Linear)]
