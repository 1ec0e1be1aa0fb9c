"""The base classes of scores, and scores with their sign changed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any, ClassVar

from torch import Tensor

from lifelong.plasticity.following import carry_units, renamed_keys
from lifelong.plasticity.moment import Moment
from lifelong.structure import Change, Structure


@dataclass
class UnitScore(ABC):
    """Gives a number to each unit of a layer.

    A score may keep running values in `state`, which follows every change of the network. It belongs to one rule.

    Attributes:
        watches: whether it reads activations.
        state: by layer and then by name, a value for each unit, of shape (units, ...).
        fill: the value with which new and reset units begin in `state`.
    """

    watches: ClassVar[bool] = False
    fill: ClassVar[float] = 0.0
    state: dict[str, dict[str, Tensor]] = field(default_factory=dict, init=False, repr=False)

    def check(self, structure: Structure, layers: tuple[str, ...]) -> None:
        """Refuse, before any training, a network on which the score cannot work.

        Raises:
            UsageError: if it cannot work; the message gives the reason.
        """

    def observe(self, moment: Moment, layer: str) -> None:
        """Take note of one update; this is called after each update, for each of the rule's layers."""

    @abstractmethod
    def __call__(self, moment: Moment, layer: str) -> Tensor:
        """Return a score for each unit, of shape (units,); a rule prunes or resets the lowest first."""

    def carry(self, change: Change) -> None:
        """Let `state` follow a change of the network."""
        self.state = renamed_keys(self.state, change)
        values = self.state.get(change.layer, {})
        for name, value in values.items():
            values[name] = carry_units(value, change, self.fill)

    def forget(self) -> None:
        """Forget what is known of units, because another network has taken the place of the known one."""
        self.state.clear()

    def __neg__(self) -> UnitScore:
        """Turn the order round, so that the highest come first, for example to split the most active units."""
        return OppositeOfUnits(self)


@dataclass
class SynapseScore(ABC):
    """Gives a number to each synapse of a weight.

    A score may keep running values in `state`, which follows every change of the network. It belongs to one rule.

    Attributes:
        watches: whether it reads activations.
        state: by name and then by weight, a tensor of the weight's shape.
        fill: the value with which new synapses begin in `state`.
    """

    watches: ClassVar[bool] = False
    fill: ClassVar[float] = 0.0
    state: dict[str, dict[str, Tensor]] = field(default_factory=dict, init=False, repr=False)

    def check(self, structure: Structure, weights: tuple[str, ...]) -> None:
        """Refuse, before any training, a network on which the score cannot work.

        Raises:
            UsageError: if it cannot work; the message gives the reason.
        """

    def observe(self, moment: Moment, weight: str) -> None:
        """Take note of one update; this is called after each update, for each of the rule's weights."""

    @abstractmethod
    def __call__(self, moment: Moment, weight: str) -> Tensor:
        """Return a score for each synapse, of the weight's shape; a rule prunes or resets the lowest first."""

    def carry(self, change: Change) -> None:
        """Let `state` follow a change of the network."""
        self.state = {name: change.carry(tensors, self.fill) for name, tensors in self.state.items()}

    def forget(self) -> None:
        """Forget what is known of units, because another network has taken the place of the known one."""
        self.state.clear()

    def __neg__(self) -> SynapseScore:
        """Turn the order round, so that the highest come first, for example to create synapses."""
        return OppositeOfSynapses(self)


@dataclass
class _Opposite:
    """Changes the sign of another score; it is written `-score`."""

    score: Any

    def __post_init__(self) -> None:
        self.watches = self.score.watches

    def check(self, structure: Structure, names: tuple[str, ...]) -> None:
        self.score.check(structure, names)

    def observe(self, moment: Moment, name: str) -> None:
        self.score.observe(moment, name)

    def __call__(self, moment: Moment, name: str) -> Tensor:
        opposite: Tensor = -self.score(moment, name)
        return opposite

    def carry(self, change: Change) -> None:
        self.score.carry(change)

    def forget(self) -> None:
        self.score.forget()


@dataclass
class OppositeOfUnits(_Opposite, UnitScore):
    """Changes the sign of a score of units."""


@dataclass
class OppositeOfSynapses(_Opposite, SynapseScore):
    """Changes the sign of a score of synapses."""
