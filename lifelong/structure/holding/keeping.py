"""Holds a network's structure through an optimizer's steps: pruned synapses, frozen entries, the age of young weights.

torch's optimizers know nothing of masks. So a `Keeper` hooks into the steps of one: before a step it remembers what
must not change, after the step it puts that back. A frozen row, for example, is copied before the step and written back
after it, with its momentum; a pruned synapse is multiplied by zero after it.

Everything is found from the network's marks and the optimizer's state alone, so that a copy of both, with a `Keeper` of
its own, goes on in the same way. Where several hold for one weight, pruned overrides frozen, and frozen overrides
young.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor, nn
from torch.nn import Parameter
from torch.optim import Optimizer

from lifelong.structure.holding.births import BIRTHS, births, correct_young, forget_mature, is_corrected, set_births
from lifelong.structure.holding.marks import ALIVE, frozen_dim, marks, masks, owner
from lifelong.structure.holding.optimizers import initial_state, per_weight

LOOK_AGAIN = 1000
"""After so many steps, weights that are no longer young are noticed."""

_INTEGERS = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
_IN_CACHE = 64
"""How many rows of a mask are applied at a time on a CPU. For 2000 columns this halves the time of all at once."""

Restore = Callable[[], None]
"""Puts back, after a step, what the step must not change."""


class Held(Protocol):
    """Is something of one parameter that a step must not change."""

    @property
    def parameter(self) -> Parameter:
        """Return the parameter, which is the network's and the optimizer's."""

    def before(self, optimizer: Optimizer, group: dict[str, Any]) -> Restore:
        """Remember what is needed before a step; what is returned is called after the step."""


class Keeper:
    """Holds a network's structure through the steps of an optimizer, from now on.

    A later keeper of the same network and optimizer takes its place. With nothing pruned, frozen or young, a step costs
    a look at an empty list.

    Args:
        network: the network, with the marks of `lifelong.structure.holding.marks`.
        optimizer: trains some of its parameters; the others need no care.
    """

    network: nn.Module
    _changes: ClassVar[int] = 0

    def __init__(self, network: nn.Module, optimizer: Optimizer) -> None:
        # Two keepers would each put back what they remember: the older one lets go.
        for hook in tuple(optimizer._optimizer_step_pre_hooks.values()):
            other = getattr(hook, "__self__", None)
            if isinstance(other, Keeper) and other.network is network:
                other.release()
        self.network = network
        self._held: list[Held] = []
        self._restores: list[Restore] = []
        self._seen = -1
        self._steps = 0
        self._handles = (
            optimizer.register_step_pre_hook(self._before),
            optimizer.register_step_post_hook(self._after),
            optimizer.register_load_state_dict_post_hook(self._loaded),
        )

    @staticmethod
    def refresh() -> None:
        """Let every keeper look at the marks again before its next step, because networks may share parameters."""
        Keeper._changes += 1

    def release(self) -> None:
        """Hold nothing from now on."""
        for handle in self._handles:
            handle.remove()

    @torch.no_grad()
    def _before(self, optimizer: Optimizer, *_: Any) -> None:
        # To look at all marks takes time: it is done after a change, and when young weights may have grown up.
        if self._seen != Keeper._changes or self._steps >= LOOK_AGAIN:
            self._held = _all_held(self.network, optimizer)
            self._seen, self._steps = Keeper._changes, 0
        self._steps += 1
        self._restores = []
        if self._held:
            # A parameter may have left the optimizer since: what is held of it then holds by itself.
            groups = {id(parameter): group for group in optimizer.param_groups for parameter in group["params"]}
            held = [each for each in self._held if id(each.parameter) in groups]
            self._restores = [each.before(optimizer, groups[id(each.parameter)]) for each in held]

    @torch.no_grad()
    def _after(self, *_: Any) -> None:
        for restore in self._restores:
            restore()
        self._restores = []

    def _loaded(self, _: Optimizer) -> None:
        self.refresh()


@dataclass(frozen=True)
class _Young:
    """Holds Adam's bias correction of weights that are younger than their tensor's step count."""

    parameter: Parameter
    indices: dict[int, Tensor]

    def before(self, optimizer: Optimizer, group: dict[str, Any]) -> Restore:
        device = self.parameter.device
        young = {dim: index.to(device) for dim, index in self.indices.items()}
        return correct_young(self.parameter, young, group, optimizer.state.get(self.parameter, {}))


@dataclass(frozen=True)
class _Frozen:
    """Holds rows along one dimension, for which time stands still: their weights, optimizer state and age.

    Unfrozen, they go on where they were stopped: without momentum gathered meanwhile, and with moments of their own
    age.
    """

    parameter: Parameter
    dim: int
    rows: Tensor

    def before(self, optimizer: Optimizer, group: dict[str, Any]) -> Restore:
        rows = self.rows.to(self.parameter.device)
        state = optimizer.state.get(self.parameter, {})
        weights = self.parameter.index_select(self.dim, rows)
        entries = {key: value.index_select(self.dim, rows) for key, value in per_weight(self.parameter, state)}
        age = self._age(optimizer)

        def restore() -> None:
            self.parameter.index_copy_(self.dim, rows, weights)
            for key, value in per_weight(self.parameter, optimizer.state.get(self.parameter, {})):
                if key in entries:
                    value.index_copy_(self.dim, rows, entries[key])
                else:  # the optimizer's first step has just made this state
                    value.index_fill_(self.dim, rows, initial_state(group, key))
            if is_corrected(optimizer, self.parameter):
                self._set_age(optimizer, age)

        return restore

    def _age(self, optimizer: Optimizer) -> Tensor:
        if not is_corrected(optimizer, self.parameter):
            return torch.zeros(len(self.rows))
        state = optimizer.state[self.parameter]
        born = births(self.parameter, state)[self.dim]
        return float(state["step"]) - born[self.rows.to(born.device)]

    def _set_age(self, optimizer: Optimizer, age: Tensor) -> None:
        state = optimizer.state[self.parameter]
        vectors = births(self.parameter, state)
        born = vectors[self.dim]
        # The tensor has made a step and the rows have not: they are born one step later.
        held = float(state["step"]) - age.to(born)
        vectors[self.dim] = born.index_copy(0, self.rows.to(born.device), held)
        set_births(state, vectors)


@dataclass(frozen=True)
class _Pruned:
    """Holds synapses at zero.

    Their optimizer state goes on with their gradients. It is set back when a synapse is created again.
    """

    parameter: Parameter
    module: nn.Module
    attribute: str

    def before(self, optimizer: Optimizer, group: dict[str, Any]) -> Restore:  # noqa: ARG002
        return self._prune

    def _prune(self) -> None:
        mask = self.module._buffers.get(self.attribute + ALIVE)
        # All synapses may live again before the next look.
        if mask is None:
            return
        # The bits are multiplied as integers: times 0 that is +0 whatever they meant, even NaN. It is faster, too.
        bits = self.parameter.view(_INTEGERS[self.parameter.itemsize])
        rows = _IN_CACHE if bits.is_cpu else len(bits)
        for part, alive in zip(torch.split(bits, rows), torch.split(mask, rows), strict=True):
            part.mul_(alive)


def _all_held(network: nn.Module, optimizer: Optimizer) -> list[Held]:
    """Return what is held of the network's parameters, in the order in which it is put back: the last one wins."""
    parameters = dict(network.named_parameters(remove_duplicate=False))
    stopped = [
        _Frozen(parameters[name], *_frozen_rows(parameters[name], mark))
        for name, mark in marks(network).items()
        if name in parameters
    ]
    pruned = [_Pruned(parameters[name], *owner(network, name)) for name in masks(network)]
    return [*_all_young(network, optimizer, stopped), *stopped, *pruned]


def _all_young(network: nn.Module, optimizer: Optimizer, stopped: list[_Frozen]) -> list[_Young]:
    trained = {id(parameter) for parameter in network.parameters()}
    young_weights = []
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            if id(parameter) in trained and BIRTHS in optimizer.state.get(parameter, {}):
                vectors = forget_mature(optimizer.state[parameter], parameter, group)
                # Frozen rows are put back anyway: correcting them first would be work for nothing.
                for frozen in stopped:
                    if frozen.parameter is parameter:
                        vectors[frozen.dim] = vectors[frozen.dim].index_fill(0, frozen.rows.to(vectors[0].device), 0)
                young = {dim: born.nonzero().flatten() for dim, born in enumerate(vectors) if bool(born.any())}
                young_weights.append(_Young(parameter, young))
    return young_weights


def _frozen_rows(tensor: Tensor, mark: Tensor) -> tuple[int, Tensor]:
    """Return the dimension of the frozen units, and which of its indices are frozen."""
    return frozen_dim(tensor, mark), mark.flatten().nonzero().flatten()
