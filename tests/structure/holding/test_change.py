"""A change knows its operator, and the operator knows where each unit goes."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch

from lifelong.structure import NEW, Change, StructureError, StructureOperator

MOVED = {
    "create units": [0, 1, 2, 3, NEW, NEW],
    "split units": [0, 1, 2, 3, NEW, NEW],
    "remove units": [0, 3],
    "merge units": [0, 3],
    "reinitialise units": [0, NEW, NEW, 3],
}


@pytest.mark.parametrize("operator", StructureOperator)
def test_every_operator_has_its_map(operator: StructureOperator) -> None:
    units = (4, 5) if operator in {"create units", "split units"} else (2, 1)
    moved = Change(operator, "0", units).unit_map(4)
    assert moved.dtype is torch.int64
    assert moved.tolist() == MOVED.get(operator, [0, 1, 2, 3])


@pytest.mark.parametrize("operator", StructureOperator)
def test_only_reinitialised_units_start_again_in_their_places(operator: StructureOperator) -> None:
    assert Change(operator, "0", (1,)).restarted == ((1,) if operator == "reinitialise units" else ())


@pytest.mark.parametrize("misspelt", ["create unit", "Create units", "grow", ""])
def test_an_unknown_operator_is_refused_at_once(misspelt: str) -> None:
    with pytest.raises(StructureError, match=rf"no operator '{misspelt}'; the nearest are '"):
        Change(misspelt, "0", (1,))


def test_the_nearest_operator_is_named() -> None:
    with pytest.raises(ValueError, match="the nearest are 'reinitialise units'"):
        Change("reinitialize units", "0", (1,))


def test_an_operator_is_written_as_its_name() -> None:
    change = Change("prune synapses", "0.weight")
    assert change.operator is StructureOperator.PRUNE_SYNAPSES
    assert change.operator == "prune synapses"
    assert f"{change.operator}" == "prune synapses"
    assert repr(change) == "Change(operator='prune synapses', layer='0.weight', units=(), added=(), dropped=())"
    assert deepcopy(change).operator is change.operator
