"""What is done to whole layers: insert one, take one out."""

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
    """Insert a residual layer, x + W2 f(W1 x), behind each of the rule's layers; W2 starts at zero.

    The layer is then called `<name>.0` and the new one `<name>.1`; a rule's layers follow. Each firing inserts another
    one, behind inserted ones too where a rule is about all layers.

    Args:
        hidden: units of the new layer; by default as many as the layer before it has.
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
    """Take each of the rule's layers out: where it keeps the shape, the identity takes its place, else a translator.

    As in Camacho et al. (2022); see `lifelong.structure.remove_layer`. The rule is about it no more.
    """

    selects: ClassVar[str | None] = None

    def attempt(self, structure: Structure, name: str) -> None:
        remove_layer(structure, name)

    def apply(self, moment: Moment, name: str, chosen: Tensor) -> Outcome | None:
        del chosen
        if not bool(free_units(moment, name).all()):
            return Outcome(None, 0, "it stays: some of its units are frozen")
        return Outcome(remove_layer(moment.structure, name), 1)


__all__ = ["InsertLayer", "RemoveLayer"]
