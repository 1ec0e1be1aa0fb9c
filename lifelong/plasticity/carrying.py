"""Carries what a strategy and its plug-ins know of each weight along a change of the network.

Surviving weights keep their importance and their anchor. New and restarted ones begin with importance 0, anchored where
they are, so that no penalty pulls them: growth leaves a penalty as it is, and after a removal it is what it was over
the weights that are left. An anchor stays where it is even if an operator gives a surviving weight another value, such
as a split that halves the fan-out; that is our choice.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any, TypeVar, cast

import torch
from avalanche.training.plugins import (
    EarlyStoppingPlugin,
    EWCPlugin,
    FromScratchTrainingPlugin,
    MASPlugin,
    RWalkPlugin,
    SynapticIntelligencePlugin,
)
from avalanche.training.utils import ParamData
from torch import Tensor, nn

from lifelong.structure import Change

Values = TypeVar("Values", bound=dict[str, Any] | None)
"""By the names of parameters, tensors or Avalanche's `ParamData`; None or empty before there are any."""


def carry_plugins(strategy: Any, change: Change) -> None:
    """Let a strategy, and the plug-ins in it, follow a change of the network.

    A plug-in that has a method `carry(change, network)` sees to itself; `CarriedWeights` helps it. Of Avalanche's
    plug-ins EWC, SI, MAS and RWalk are known, with their subclasses; so are the copies of the weights that its early
    stopping and its training from scratch go back to. LwF and others that hold a copy of the whole network need
    nothing, because the copy keeps its own shape.

    Args:
        strategy: an Avalanche strategy, whose network and optimizer have been changed.
        change: what was done.
    """
    _carry_optimized(strategy, change)
    weights = CarriedWeights(change, strategy.model)
    for plugin in strategy.plugins:
        if callable(carry := getattr(plugin, "carry", None)):
            carry(change, strategy.model)
            continue
        for kind, carry_known in _KNOWN.items():
            if isinstance(plugin, kind):
                carry_known(plugin, weights)


@dataclass(frozen=True)
class CarriedWeights:
    """Carries what is known of each weight of a network.

    Each method takes values by the names and in the shapes that the parameters had before the change, and returns new
    ones by the names, in the shapes and in the order that they have after it. The old ones stay as they are. Values of
    a parameter that has grown since they were taken (a head for new classes) are padded with 0, as Avalanche pads them.

    Args:
        change: what was done.
        network: as it is after that.
        flat: whether values are kept flattened, each in one dimension.
    """

    change: Change
    network: nn.Module
    flat: bool = False

    def importances(self, values: Values) -> Values:
        """Carry what begins with 0: importances, gradients, trajectories."""
        return self._carried(values, 0.0)

    def anchors(self, values: Values) -> Values:
        """Carry what begins with the weight itself: its value at some earlier moment."""
        tensors = (*self.network.named_parameters(), *self.network.named_buffers())
        return self._carried(values, {name: tensor.detach() for name, tensor in tensors})

    def snapshots(self, values: Values) -> Values:
        """Carry copies of the network's state, to which a strategy goes back.

        A copy of an earlier shape is left out: it does not fit, and zeros would be wrong weights.
        """
        if not values:
            return values
        known = cast(dict[str, Any], values)
        whole = {name: value for name, value in known.items() if value.shape == self._shape(name, value)}
        return self.anchors(cast(Values, whole))

    def _carried(self, values: Values, fill: Any) -> Values:
        if not values:
            return values
        change, known = self.change, cast(dict[str, Any], values)
        carried = change.carry({name: self._whole(name, value) for name, value in known.items()}, fill)
        likes = {change.renamed.get(name, name): value for name, value in known.items()}
        # An inserted layer has no values yet; any other shows in which form the plug-in keeps its own.
        other = next(iter(likes.values()))
        parameters = [name for name, _ in self.network.named_parameters()]
        # Avalanche's online EWC walks through old and new importances in step, so that their order has to be the same.
        # Buffers of an inserted layer are left out, because nobody kept them before.
        order = dict.fromkeys(name for name in (*parameters, *likes) if name in carried)
        return cast(Values, {name: self._like(likes.get(name, other), carried[name], name) for name in order})

    def _whole(self, name: str, value: ParamData | Tensor) -> Tensor:
        """Return a value in the shape that its parameter had just before the change.

        We do not call Avalanche's `ParamData.expand`, about which torch warns.
        """
        held = value if isinstance(value, Tensor) else value.data
        shape = self._shape(name, held)
        if held.shape == shape:
            return held
        # A flat value is padded at its end, which is right for new rows: a head grows by classes, its first dimension.
        grown = held.new_zeros(prod(shape) if self.flat else shape)
        grown[tuple(slice(size) for size in held.shape)] = held
        return grown.view(shape)

    def _shape(self, name: str, value: Tensor) -> torch.Size:
        """Return the shape that a parameter had before the change; if the change leaves it alone, that of the value."""
        new = self.change.renamed.get(name, name)
        if new in self.change.reset:
            return self.change.reset[new].shape
        return torch.Size(self.change.sizes[new]) if new in self.change.maps else value.shape

    def _like(self, like: ParamData | Tensor, tensor: Tensor, name: str) -> ParamData | Tensor:
        """Return a tensor in the form in which the plug-in keeps another."""
        tensor = tensor.to(like.device)
        if isinstance(like, Tensor):
            return tensor
        tensor = tensor.flatten() if self.flat else tensor
        return ParamData(name, init_function=like.init_function, init_tensor=tensor, device=like.device)


def _carry_optimized(strategy: Any, change: Change) -> None:
    """Renew the names by which Avalanche finds each parameter in the optimizer.

    A name whose parameter the optimizer does not hold, such as that of a head which has just grown, keeps the old
    parameter: by it Avalanche finds the place in the optimizer where the new one belongs.
    """
    held = {id(parameter) for group in strategy.optimizer.param_groups for parameter in group["params"]}
    known = strategy.optimized_param_id or {}
    strategy.optimized_param_id = {
        **{change.renamed.get(name, name): known[name] for name in known if name not in change.dropped},
        **{name: parameter for name, parameter in strategy.model.named_parameters() if id(parameter) in held},
    }


def _carry_ewc(plugin: EWCPlugin, weights: CarriedWeights) -> None:
    for experience, values in plugin.saved_params.items():
        plugin.saved_params[experience] = weights.anchors(values)
    for experience, values in plugin.importances.items():
        plugin.importances[experience] = weights.importances(values)


def _carry_mas(plugin: MASPlugin, weights: CarriedWeights) -> None:
    plugin.params = weights.anchors(plugin.params)
    plugin.importance = weights.importances(plugin.importance)


def _carry_si(plugin: SynapticIntelligencePlugin, weights: CarriedWeights) -> None:
    """Carry SI's values in the middle of an update too: it sums up what a weight did only after the change."""
    flat = CarriedWeights(weights.change, weights.network, flat=True)
    anchors, importances = plugin.ewc_data
    plugin.ewc_data = flat.anchors(anchors), flat.importances(importances)
    for name, values in plugin.syn_data.items():
        carry = flat.anchors if name in ("old_theta", "new_theta") else flat.importances
        plugin.syn_data[name] = carry(values)
    # It reads the gradient of every weight, and an inserted layer has none yet.
    parameters = dict(weights.network.named_parameters())
    for name in weights.change.added:
        if name in parameters and parameters[name].grad is None:
            parameters[name].grad = torch.zeros_like(parameters[name])


def _carry_rwalk(plugin: RWalkPlugin, weights: CarriedWeights) -> None:
    for name in ("checkpoint_params", "iter_params", "exp_params"):
        setattr(plugin, name, weights.anchors(getattr(plugin, name)))
    of_learning = ("checkpoint_loss", "checkpoint_scores", "iter_grad", "iter_importance")
    for name in (*of_learning, "exp_scores", "exp_importance", "exp_penalties"):
        setattr(plugin, name, weights.importances(getattr(plugin, name)))


def _carry_early_stopping(plugin: EarlyStoppingPlugin, weights: CarriedWeights) -> None:
    plugin.best_state = weights.snapshots(plugin.best_state)


def _carry_from_scratch(plugin: FromScratchTrainingPlugin, weights: CarriedWeights) -> None:
    plugin.initial_weights = weights.snapshots(plugin.initial_weights)


_KNOWN: dict[type, Callable[[Any, CarriedWeights], None]] = {
    EWCPlugin: _carry_ewc,
    MASPlugin: _carry_mas,
    SynapticIntelligencePlugin: _carry_si,
    RWalkPlugin: _carry_rwalk,
    EarlyStoppingPlugin: _carry_early_stopping,
    FromScratchTrainingPlugin: _carry_from_scratch,
}
