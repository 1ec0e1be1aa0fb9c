"""What is known of each unit goes where the unit goes: shown by weights, which the operators move themselves."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from lifelong.models.networks.residual import slim_resnet18
from lifelong.plasticity.following import carry_units, renamed, twins
from lifelong.structure import (
    NEW,
    Change,
    Structure,
    create_units,
    insert_layer,
    merge_units,
    prune_synapses,
    reinitialise_units,
    remove_layer,
    remove_units,
    split_units,
)

OPERATORS = {
    "create": lambda structure: create_units(structure, "0", 3),
    "remove": lambda structure: remove_units(structure, "0", [4, 1]),
    "reinitialise": lambda structure: reinitialise_units(structure, "0", [0, 3]),
    "split": lambda structure: split_units(structure, "0", [2, 0], noise=0.1),
    "merge": lambda structure: merge_units(structure, "0", [[3, 1], [0, 4]]),
}


def mlp() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 2))


@pytest.mark.parametrize("operator", OPERATORS)
def test_the_map_of_units_is_that_of_the_layer_s_own_weights(operator):
    structure = Structure(mlp(), torch.zeros(1, 3))
    change = OPERATORS[operator](structure)
    assert torch.equal(change.unit_map(5), change.maps["0.weight"][0])


@pytest.mark.parametrize("operator", OPERATORS)
def test_the_channels_of_a_flattened_image(operator):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 5, 3), nn.ReLU(), nn.Flatten(), nn.Linear(5 * 4, 2))
    structure = Structure(network, torch.zeros(1, 1, 4, 4))
    change = OPERATORS[operator](structure)
    places = change.maps["3.weight"][1].view(-1, 4)
    expected = torch.where(places == NEW, NEW, places // 4)
    assert torch.equal(change.unit_map(5)[:, None].expand(-1, 4), expected)


def test_values_of_units_that_stay_go_with_them():
    structure = Structure(mlp(), torch.zeros(1, 3))
    values = torch.tensor([[10.0, 0], [11, 1], [12, 2], [13, 3], [14, 4]])
    change = merge_units(structure, "0", [[3, 1], [0, 4]])
    assert carry_units(values, change).tolist() == [[10, 0], [12, 2], [13, 3]]
    change = reinitialise_units(structure, "0", [1])
    assert carry_units(values[:3], change, fill=-1).tolist() == [[10, 0], [-1, -1], [12, 2]]
    assert values[1, 0] == 11


def test_a_change_of_synapses_moves_no_unit():
    structure = Structure(mlp(), torch.zeros(1, 3))
    change = prune_synapses(structure, "0.weight", torch.ones(5, 3, dtype=torch.bool))
    assert change.unit_map(5).tolist() == [0, 1, 2, 3, 4]


def test_layers_along_a_residual_stream_have_the_same_units():
    structure = Structure(nn.Sequential(slim_resnet18((1, 8, 8), width=2), nn.Linear(16, 3)), torch.zeros(1, 1, 8, 8))
    layers = dict(structure.layers)
    for name in ("0.conv1", "0.layer1.0.conv1"):
        change = create_units(structure, name, 1)
        moved = {other for other in layers if change.maps.get(f"{other}.weight", {}).get(0) is not None}
        assert set(twins(layers, name)) == moved
        layers = dict(structure.layers)
    assert len(set(twins(layers, "0.conv1"))) > 1
    assert list(twins(layers, "0.layer1.0.conv1")) == ["0.layer1.0.conv1"]
    assert list(twins(layers, "0.weight")) == []


def test_layers_follow_their_names():
    structure = Structure(mlp(), torch.zeros(1, 3))
    change = insert_layer(structure, "0", hidden=6)
    assert [renamed(change, name) for name in ("0", "2")] == ["0.0", "2"]
    assert set(structure.layers) >= {"0.0", "2"}
    change = remove_layer(structure, "0.1")
    assert renamed(change, "0.0") == "0"
    assert renamed(change, "0.1.0") is None
    assert renamed(change, "2") == "2"


def test_layers_that_are_named_after_a_tensor_follow_it():
    change = Change(
        "insert layer", "a.1", renamed={"a.in_proj_weight": "a.0.in_proj_weight"}, dropped=("b.in_proj_weight",)
    )
    names = ("a.in_proj_weight", "a.in_proj_weight[1]", "a", "b.in_proj_weight", "b.in_proj_weight[0]", "aa")
    assert [renamed(change, name) for name in names] == [
        "a.0.in_proj_weight",
        "a.0.in_proj_weight[1]",
        "a.0",
        None,
        None,
        "aa",
    ]
