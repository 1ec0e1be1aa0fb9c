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
    """Tells of one act of a rule: why it acted, where, and with what outcome.

    Attributes:
        trigger: the name of the trigger that fired.
        value: the number that the trigger saw, of this layer where it saw one for each.
        name: the layer, or the weight for an operator on synapses.
        operator: the operator's name, as records show it.
        outcome: what the operator did.
    """

    trigger: str
    value: float | None
    name: str
    operator: str
    outcome: Outcome


@dataclass
class Rule:
    """Says when a network's structure changes, what is done to it, and to which units or synapses.

    How new weights start is a parameter of the operator, for example `Grow(0.1, new=ZeroFanOut())`.

    Args:
        when: the trigger.
        what: the operator.
        which: the selection, for an operator that has to be told which units or synapses.
        layers: names as in `Structure.layers`; by default all layers whose units may change. A rule about synapses
            changes the weights with which these layers read.

    Raises:
        UsageError: if a part is not of its type, or out of range, or if the selection is missing, not needed, or does
            not fit the operator.

    Every 100 updates this rule resets the tenth of each layer's units that have the smallest incoming weights:

    >>> from lifelong.plasticity import Every, Lowest, Reset, WeightNorm
    >>> rule = Rule(when=Every(steps=100), which=Lowest(WeightNorm(), share=0.1), what=Reset())
    >>> network = torch.nn.Sequential(torch.nn.Linear(4, 20), torch.nn.ReLU(), torch.nn.Linear(20, 3))
    >>> rule.layers_in(Structure(network, torch.zeros(1, 4)))  # the units of '2' are the network's outputs
    ('0',)
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
        """Tell whether a part of the rule reads activations, which then have to be recorded."""
        return self.when.watches or any(score.watches for score in self._scores)

    @property
    def _scores(self) -> list[UnitScore | SynapseScore]:
        """Return the scores of the selection and of the operator, each if there is one."""
        owners = (self.which, self.what)
        return [owner.score for owner in owners if owner is not None and owner.score is not None]

    @property
    def reads(self) -> frozenset[Reading]:
        """Return which means over an epoch the rule reads."""
        return self.when.reads if self.which is None else self.when.reads | self.which.reads

    def layers_in(self, structure: Structure) -> tuple[str, ...]:
        """Return the names of the layers that the rule is about; of twins (layers with the same units) the first."""
        if self.layers is not None:
            return tuple(self.layers)
        # Twins, such as the layers that write to one residual stream, share each change: the rule acts on them once.
        free = {name: layer for name, layer in structure.layers.items() if layer.fixed is None}
        return tuple(name for name in free if next(twins(free, name)) == name)

    def targets_in(self, structure: Structure) -> dict[str, str]:
        """Return what the rule changes, each with its layer: layers, or the weights with which these layers read."""
        layers = self.layers_in(structure)
        if self.what.selects != "synapses":
            return dict(zip(layers, layers, strict=True))
        parameters = dict(structure.network.named_parameters())
        return {
            slot.tensor: layer
            for layer in layers
            for slot in structure.layers[layer].slots_of(Role.FAN_IN)
            if parameters[slot.tensor].dim() > 1  # a vector, such as the scale of a normalisation, has no synapses
        }

    def check(self, structure: Structure) -> None:
        """Refuse, before any training, a network on which the rule cannot work.

        Raises:
            UsageError: if it cannot; the message gives the reason.
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
                    # Each change would be made twice.
                    same = "is named twice" if other == name else f"has the same units as {other!r}: name one of them"
                    raise UsageError(f"a rule on {name!r}, which {same}")

    def observe(self, moment: Moment, targets: Mapping[str, str]) -> None:
        """Let all scores take note of one update.

        Args:
            moment: the moment after the update.
            targets: what `targets_in` returns; the caller keeps it until the structure changes.
        """
        for score in self._scores:
            for name in targets:
                score.observe(moment, name)

    def choose(self, moment: Moment, firing: Firing, targets: Mapping[str, str]) -> dict[str, Tensor]:
        """Select what to change, now that the trigger has fired.

        Args:
            moment: the present moment; from now on its `firing` is set.
            firing: what the trigger saw.
            targets: what `targets_in` returns.

        Returns:
            For each target the chosen units (int64, lowest score first) or synapses (bool, of the weight's shape).
            It is empty for an operator that takes no selection. Targets in which nothing was chosen are left out.
        """
        # The selection and the operator may ask what the trigger saw, as `excess` does.
        moment.firing = firing
        names = [name for name, layer in targets.items() if firing.layers is None or layer in firing.layers]
        if self.which is None:
            return dict.fromkeys(names, NOTHING)
        chosen = self.which.select(moment, names, self.what)
        return {
            name: each for name, each in chosen.items() if len(each) and (each.dtype is not torch.bool or each.any())
        }

    def act(self, moment: Moment, chosen: Mapping[str, Tensor], targets: Mapping[str, str]) -> Iterator[Happening]:
        """Apply the operator to one target after the other, and tell of each act.

        This is a generator: each change is made only when the next item is asked for. So the caller can carry what is
        known of the weights, and measure the loss, between two changes.

        Args:
            moment: the one that was given to `choose`.
            chosen: what `choose` returned.
            targets: what `targets_in` returns.

        Raises:
            UsageError: if the operator returns something else than an `Outcome` or None.
        """
        firing = moment.firing
        assert firing is not None
        for name, each in chosen.items():
            # A user's operator may return anything, so the type is checked rather than trusted.
            outcome: Any = self.what.apply(moment, name, each)
            if not isinstance(outcome, Outcome | None):
                kind = type(self.what).__name__
                raise UsageError(f"{kind}.apply returned {outcome!r}: an operator returns an Outcome, or None")
            if outcome is not None:
                value = firing.value if firing.layers is None else firing.layers[targets[name]]
                yield Happening(firing.trigger, value, name, self.what.name, outcome)

    def carry(self, change: Change) -> None:
        """Let all that is known of layers, units and synapses follow a change of the network."""
        if self.layers is not None:  # a layer that is gone leaves the list, which may become empty
            self.layers = [new for name in self.layers if (new := renamed(change, name)) is not None]
        for part in (self.when, self.which, self.what.score):
            if part is not None:
                part.carry(change)

    def forget(self) -> None:
        """Forget what is known of units and synapses, because another network has taken the place of the known one."""
        for part in (self.when, self.which, self.what.score):
            if part is not None:
                part.forget()


def _are_names(layers: Any) -> bool:
    """Tell whether these are names in a list that is not empty; a single string is no list."""
    is_list = isinstance(layers, Sequence) and not isinstance(layers, str)
    return is_list and bool(layers) and all(isinstance(name, str) for name in layers)
