"""Penalties that pull all weights to where they began, or to zero."""

from __future__ import annotations

from avalanche.core import SupervisedPlugin
from avalanche.training.templates import SupervisedTemplate
from torch import Tensor, nn

from lifelong.structure import Change


class L2(SupervisedPlugin):
    """Adds weight * ||theta||^2 to the loss, over all parameters that are trained.

    Args:
        weight: weight of the penalty, whose gradient is 2 * weight * theta.
    """

    def __init__(self, weight: float) -> None:
        super().__init__()
        self.weight = weight

    def before_backward(self, strategy: SupervisedTemplate, **_: object) -> None:
        parameters = {name: value for name, value in strategy.model.named_parameters() if value.requires_grad}
        squares = [(value - self.anchor(name)).square().sum() for name, value in parameters.items()]
        strategy.loss = strategy.loss + self.weight * sum(squares)

    def anchor(self, name: str) -> Tensor | float:
        """Return the value to which a parameter is pulled."""
        del name
        return 0.0


class L2Init(L2):
    """Adds weight * ||theta - theta_0||^2 to the loss, where theta_0 are the weights before any training.

    Where the network changes its structure, new and restarted weights are pulled to where they started.
    """

    def __init__(self, weight: float) -> None:
        super().__init__(weight)
        self._anchors: dict[str, Tensor] = {}

    def before_training_exp(self, strategy: SupervisedTemplate, **_: object) -> None:
        for name, parameter in strategy.model.named_parameters():
            if name not in self._anchors:
                self._anchors[name] = parameter.detach().clone()

    def anchor(self, name: str) -> Tensor:
        return self._anchors[name]

    def carry(self, change: Change, network: nn.Module) -> None:
        """Follow a change of structure."""
        parameters = dict(network.named_parameters())
        carried = change.carry(self._anchors, {**parameters, **dict(network.named_buffers())})
        self._anchors = {name: tensor for name, tensor in carried.items() if name in parameters}
