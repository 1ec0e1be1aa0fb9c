"""How what is known of each unit, or of each weight, follows a change of the network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TypeVar

from torch import Tensor

from lifelong.structure import Change, Layer

Value = TypeVar("Value")


def carry_units(values: Tensor, change: Change, fill: float = 0.0) -> Tensor:
    """A value of each unit, of shape (units, ...), along a change of the layer's units; new ones get `fill`."""
    index = change.unit_map(len(values)).to(values.device)
    carried = values.index_select(0, index.clamp(min=0))
    carried[index < 0] = fill
    return carried


def twins(layers: Mapping[str, Layer], name: str) -> Iterator[str]:
    """All layers with the very units of one, itself among them: those that write to the same residual stream.

    A change is told of one of them; the units of all of them change.

    Args:
        layers: by name, as they were before a change.
        name: of a layer.
    """
    if name in layers:
        slots = layers[name].slots
        yield from (other for other, layer in layers.items() if layer.slots is slots)


def renamed(change: Change, layer: str) -> str | None:
    """The name that a layer has after a change; None if it is gone. Inserting a layer moves the one before it.

    A layer is named after its module; after its tensor, and a dimension of that, where a module makes several.
    """
    name, bracket, dim = layer.partition("[")
    for old, new in change.renamed.items():
        if name in (old, _module(old)):
            return new + bracket + dim if name == old else _module(new)
    return None if any(name in (gone, _module(gone)) for gone in change.dropped) else layer


def renamed_keys(values: Mapping[str, Value], change: Change) -> dict[str, Value]:
    """What is known of each layer, by the layers' names after a change; without those that are gone."""
    names = {layer: renamed(change, layer) for layer in values}
    return {name: values[layer] for layer, name in names.items() if name is not None}


def _module(tensor: str) -> str:
    return tensor.rpartition(".")[0]
