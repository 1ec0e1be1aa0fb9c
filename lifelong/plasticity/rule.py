"""A rule: when a trigger fires, which units or synapses a selection takes, what operator changes them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lifelong.errors import UsageError
from lifelong.plasticity.activations import check_watchable
from lifelong.plasticity.checks import check_numbers
from lifelong.plasticity.following import renamed, twins
from lifelong.plasticity.moment import Firing, Moment
from lifelong.plasticity.operators import NOTHING, Operator, Outcome
from lifelong.plasticity.scores.base import SynapseScore, UnitScore
from lifelong.plasticity.selection import Selection
from lifelong.plasticity.triggers.base import Reading, Trigger
from lifelong.structure import Change, Role, Structure, StructureError


@dataclass(frozen=True)
class Happening:
    """One act of a rule: why, where, and what came of it."""

    trigger: str
    value: float | None
    name: str
    operator: str
    outcome: Outcome


@dataclass
class Rule:
    """What happens to a network's structure, and when.

    How new weights start is the operator's own: `Grow(0.1, new=ZeroFanOut())`.

    Args:
        when: the trigger.
        what: the operator.
        which: the selection, for an operator that has to be told which units or synapses.
        layers: names as in `Structure.layers`; by default all whose units may change. A rule about synapses is about
            the weights with which these layers read.

    Raises:
        UsageError: if the operator has to be told which units, or which synapses, and is not.
    """

    when: Trigger
    what: Operator
    which: Selection | None = None
    layers: Sequence[str] | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.when, Trigger):
            raise UsageError(f"a rule's `when` is a trigger, such as TaskArrives(), not {self.when!r}")
        if not isinstance(self.what, Operator):
            raise UsageError(f"a rule's `what` is an operator, such as Grow(0.1), not {self.what!r}")
        name, selects = type(self.what).__name__, self.what.selects
        if selects is None and self.which is not None:
            raise UsageError(f"{name} is not told which: leave `which` out")
        if selects is not None and not isinstance(self.which, Selection):
            raise UsageError(f"{name} has to be told which {selects}: give `which`, such as Lowest(score, share=0.1)")
        if self.layers is not None and not _are_names(self.layers):
            raise UsageError(f"a rule's `layers` is a list of names, such as ['1', '3'], not {self.layers!r}")
        if self.which is not None:
            self.which.check(self.what)
        for part in (self.when, self.what, self.which):
            check_numbers(part)

    @property
    def watches(self) -> bool:
        """Whether activations have to be recorded."""
        return self.when.watches or any(score.watches for score in self._scores)

    @property
    def _scores(self) -> list[UnitScore | SynapseScore]:
        """Of the selection, and of the operator itself."""
        owners = (self.which, self.what)
        return [owner.score for owner in owners if owner is not None and owner.score is not None]

    @property
    def reads(self) -> frozenset[Reading]:
        """What has to be known at the end of an epoch."""
        return self.when.reads if self.which is None else self.when.reads | self.which.reads

    def layers_in(self, structure: Structure) -> tuple[str, ...]:
        """Names of the layers that the rule is about; of those with the very same units (a residual stream's) one."""
        if self.layers is not None:
            return tuple(self.layers)
        free = {name: layer for name, layer in structure.layers.items() if layer.fixed is None}
        return tuple(name for name in free if next(twins(free, name)) == name)

    def targets_in(self, structure: Structure) -> dict[str, str]:
        """What the rule changes, each with its layer: layers, or the weights with which they read."""
        layers = self.layers_in(structure)
        if self.what.selects != "synapses":
            return dict(zip(layers, layers, strict=True))
        parameters = dict(structure.network.named_parameters())
        return {
            slot.tensor: layer
            for layer in layers
            for slot in structure.layers[layer].slots_of(Role.FAN_IN)
            if parameters[slot.tensor].dim() > 1
        }

    def check(self, structure: Structure) -> None:
        """Refuse, before any training, what cannot work on this network.

        Raises:
            UsageError: with the reason.
        """
        self._check_layers(structure)
        layers, targets = self.layers_in(structure), tuple(self.targets_in(structure))
        if not targets:
            raise UsageError(f"the network has no {self.what.selects or 'units'} that may change")
        if self.watches:
            for name in layers:
                check_watchable(structure, name)
        self.when.check(structure, layers)
        self.what.check(structure, targets)
        for score in self._scores:
            score.check(structure, targets)

    def _check_layers(self, structure: Structure) -> None:
        known = structure.layers
        for number, name in enumerate(self.layers or ()):
            try:
                structure.layer(name)
            except StructureError as error:
                raise UsageError(f"a rule on {name!r}: {error}") from None
            for other in (self.layers or ())[:number]:
                if other in twins(known, name):
                    same = "is named twice" if other == name else f"has the same units as {other!r}: name one of them"
                    raise UsageError(f"a rule on {name!r}, which {same}")

    def observe(self, moment: Moment, targets: Mapping[str, str]) -> None:
        """Take note of one update.

        Args:
            moment: now.
            targets: what `targets_in` gives, found once for each structure.
        """
        for score in self._scores:
            for name in targets:
                score.observe(moment, name)

    def choose(self, moment: Moment, firing: Firing, targets: Mapping[str, str]) -> dict[str, Tensor]:
        """What the trigger fired for: the targets to change, each with the units or synapses that were chosen there.

        Targets of which nothing is chosen are left out. From now on the moment knows the firing.
        """
        moment.firing = firing
        names = [name for name, layer in targets.items() if firing.layers is None or layer in firing.layers]
        if self.which is None:
            return dict.fromkeys(names, NOTHING)
        chosen = self.which.select(moment, names, self.what)
        return {
            name: each for name, each in chosen.items() if len(each) and (each.dtype is not torch.bool or each.any())
        }

    def act(self, moment: Moment, chosen: Mapping[str, Tensor], targets: Mapping[str, str]) -> Iterator[Happening]:
        """Carry it out, one target after the other.

        Each change is made when the next is asked for, so that whoever iterates can look at the network in between.
        """
        firing = moment.firing
        assert firing is not None
        for name, each in chosen.items():
            outcome: Any = self.what.apply(moment, name, each)
            if not isinstance(outcome, Outcome | None):
                kind = type(self.what).__name__
                raise UsageError(f"{kind}.apply returned {outcome!r}: an operator returns an Outcome, or None")
            if outcome is not None:
                value = firing.value if firing.layers is None else firing.layers[targets[name]]
                yield Happening(firing.trigger, value, name, self.what.name, outcome)

    def carry(self, change: Change) -> None:
        """Let what is known of each layer, unit or synapse follow a change."""
        if self.layers is not None:
            self.layers = [new for name in self.layers if (new := renamed(change, name)) is not None]
        for part in (self.when, self.which, self.what.score):
            if part is not None:
                part.carry(change)

    def forget(self) -> None:
        """Another network has taken the known one's place."""
        for part in (self.when, self.which, self.what.score):
            if part is not None:
                part.forget()


def _are_names(layers: Any) -> bool:
    """Whether it is a list of names, of one at least."""
    is_list = isinstance(layers, Sequence) and not isinstance(layers, str)
    return is_list and bool(layers) and all(isinstance(name, str) for name in layers)


__all__ = ["Happening", "Rule"]
