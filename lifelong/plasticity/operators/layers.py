"""Operators on whole layers: one inserts a layer, one takes a layer out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from lifelong.errors import UsageError, unknown
from lifelong.plasticity.candidates import free_units
from lifelong.plasticity.moment import Moment
from lifelong.plasticity.operators.base import Operator, Outcome
from lifelong.structure import Structure, insert_layer, remove_layer
from lifelong.structure.operators.replacements import ACTIVATIONS


@dataclass
class InsertLayer(Operator):
    """Inserts a residual layer, x + W2 f(W1 x), behind each of the rule's layers; W2 starts at zero.

    The network's function stays the same at first. The layer is then called `<name>.0` and the new one `<name>.1`; the
    rule follows the new name. Each firing inserts one more layer, also behind inserted ones if the rule is about all
    layers.

    Args:
        hidden: how many units W1 has, at least 1; by default as many as the layer before it.
        activation: f, by its name in `torch.nn`.

    Raises:
        UsageError: if an argument is out of range.
    """

    hidden: int | None = None
    activation: str = "ReLU"
    selects: ClassVar[str | None] = None

    def __post_init__(self) -> None:
        if self.hidden is not None and self.hidden < 1:
            raise UsageError(f"InsertLayer: hidden = {self.hidden}; the least is 1")
        if self.activation not in ACTIVATIONS:
            raise unknown("activation", self.activation, ACTIVATIONS)

    def attempt(self, structure: Structure, name: str) -> None:
        insert_layer(structure, name, hidden=self.hidden or 1, activation=self.activation)

    def apply(self, moment: Moment, name: str, chosen: Tensor) -> Outcome | None:
        del chosen
        hidden = self.hidden or moment.layer(name).units
        return Outcome(insert_layer(moment.structure, name, hidden=hidden, activation=self.activation), 1)


@dataclass
class RemoveLayer(Operator):
    """Takes each of the rule's layers out, as Camacho et al. (2022) do; see `lifelong.structure.remove_layer`.

    If the layer keeps the shape of its input, the identity takes its place, else a translator. From then on the rule is
    no longer about it.
    """

    selects: ClassVar[str | None] = None

    def attempt(self, structure: Structure, name: str) -> None:
        remove_layer(structure, name)

    def apply(self, moment: Moment, name: str, chosen: Tensor) -> Outcome | None:
        del chosen
        if not bool(free_units(moment, name).all()):
            return Outcome(None, 0, "it stays: some of its units are frozen")
        return Outcome(remove_layer(moment.structure, name), 1)
