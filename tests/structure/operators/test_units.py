"""Operators on units, as properties over networks, layers, units and initialisers."""

from __future__ import annotations

import re
from copy import deepcopy
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from lifelong.structure import (
    Change,
    Copy,
    Fresh,
    Initialiser,
    Layer,
    Role,
    Structure,
    StructureError,
    ZeroFanOut,
    create_units,
    freeze_units,
    frozen_units,
    merge_units,
    prune_synapses,
    reinitialise_units,
    remove_units,
    split_units,
)
from lifelong.structure.holding.marks import masks, tensor_of

NAMES = [
    "mlp", "mlp-batchnorm", "mlp-layernorm", "cnn-batchnorm", "cnn-groupnorm", "cnn-instancenorm",
    "separable", "grouped", "upsampling",
    "residual", "dense", "transformer", "heads", "incremental", "tied", "loop", "own-cnn", "own-resnet",
]  # fmt: skip

properties = settings(
    max_examples=5,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def outputs(network: nn.Module, inputs: tuple[Any, ...], training: bool) -> Tensor:
    """Return what a copy of the network returns, so that its statistics stay."""
    network = deepcopy(network).train(training)
    with torch.no_grad():
        return network(*inputs)


def tensors(network: nn.Module) -> dict[str, Tensor]:
    """Return a copy of everything in a network's state."""
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


def assert_same(network: nn.Module, before: dict[str, Tensor]) -> None:
    """Bit for bit."""
    after = network.state_dict()
    assert after.keys() == before.keys()
    for name, tensor in before.items():
        assert torch.equal(after[name], tensor), name


def changeable(structure: Structure, *without: Role) -> list[Layer]:
    """Layers whose units may change."""
    return [layer for layer in structure.layers.values() if layer.fixed is None and not layer.slots_of(*without)]


def silence(network: nn.Module, layer: Layer, units: list[int]) -> None:
    """Let nothing read some units."""
    for slot in layer.slots_of(Role.FAN_OUT):
        places = slot.positions[units].flatten()
        tensor_of(network, slot.tensor).data.index_fill_(slot.dim, places, 0)


@pytest.mark.parametrize("name", NAMES)
@properties
@given(data=st.data())
def test_creation_without_fan_out_preserves_the_function_and_removal_gives_back_every_bit(
    name: str, zoo: dict[str, Any], data: st.DataObject
) -> None:
    animal = zoo[name]
    network, inputs = animal(data.draw(st.integers(0, 99))), animal.example()
    structure = Structure(network, *inputs)
    layer = data.draw(st.sampled_from(changeable(structure, Role.TIED) or [None]))
    if layer is None:
        return
    before, said = tensors(network), [outputs(network, inputs, training) for training in (False, True)]
    change = create_units(structure, layer.name, data.draw(st.integers(1, 4)))
    assert structure.layer(layer.name).units == layer.units + len(change.units)
    if not layer.mixed:
        for training in (False, True):
            torch.testing.assert_close(outputs(network, inputs, training), said[training], rtol=1e-5, atol=1e-6)
    remove_units(structure, layer.name, change.units)
    assert_same(network, before)


@pytest.mark.parametrize("name", NAMES)
@properties
@given(data=st.data())
def test_copies_share_the_fan_out(name: str, zoo: dict[str, Any], data: st.DataObject) -> None:
    animal = zoo[name]
    network, inputs = animal(data.draw(st.integers(0, 99)), torch.float64), animal.example(dtype=torch.float64)
    structure = Structure(network, *inputs)
    layer = data.draw(st.sampled_from([one for one in changeable(structure, Role.TIED) if not one.mixed] or [None]))
    if layer is None:
        return
    said = [outputs(network, inputs, training) for training in (False, True)]
    sources = data.draw(st.lists(st.integers(0, layer.units - 1), min_size=1, max_size=4))
    change = create_units(structure, layer.name, len(sources), new=Copy(sources))
    for training in (False, True):
        torch.testing.assert_close(outputs(network, inputs, training), said[training], rtol=1e-9, atol=1e-9)
    groups = [
        [source, *(unit for unit, copied in zip(change.units, sources, strict=True) if copied == source)]
        for source in sorted(set(sources))
    ]
    merge_units(structure, layer.name, groups)
    assert structure.layer(layer.name).units == layer.units
    for training in (False, True):
        torch.testing.assert_close(outputs(network, inputs, training), said[training], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", NAMES)
@properties
@given(data=st.data())
def test_removal_equals_silence(name: str, zoo: dict[str, Any], data: st.DataObject) -> None:
    animal = zoo[name]
    network, inputs = animal(data.draw(st.integers(0, 99)), torch.float64), animal.example(dtype=torch.float64)
    structure = Structure(network, *inputs)
    eligible = [one for one in changeable(structure, Role.TIED) if not one.mixed and one.units > 1]
    layer = data.draw(st.sampled_from(eligible or [None]))
    if layer is None:
        return
    units = data.draw(st.sets(st.integers(0, layer.units - 1), min_size=1, max_size=layer.units - 1))
    silenced = deepcopy(network)
    silence(silenced, layer, sorted(units))
    remove_units(structure, layer.name, units)
    for training in (False, True):
        torch.testing.assert_close(
            outputs(network, inputs, training), outputs(silenced, inputs, training), rtol=1e-9, atol=1e-9
        )


@pytest.mark.parametrize("name", NAMES)
@properties
@given(data=st.data())
def test_every_layer_can_grow_and_shrink_and_the_network_still_learns(
    name: str, zoo: dict[str, Any], data: st.DataObject
) -> None:
    animal = zoo[name]
    network, inputs = animal(), animal.example()
    structure = Structure(network, *inputs)
    for layer in [one.name for one in changeable(structure)]:
        create_units(structure, layer, data.draw(st.integers(2, 4)), new=Fresh())
        units = structure.layer(layer).units
        # with a single group left, its channels are no longer tied to those of others: they are units of their own then
        gone = data.draw(st.sets(st.integers(0, units - 1), min_size=1, max_size=units - 2))
        remove_units(structure, layer, gone)
        assert structure.layer(layer).units == units - len(gone)
    network.train()
    network(*inputs).square().sum().backward()
    reached = [parameter.grad is not None for parameter in network.parameters()]
    assert all(reached) or name == "heads"


@pytest.mark.parametrize("name", [name for name in NAMES if name != "tied"])
def test_reinitialised_units_are_silent_and_the_others_untouched(name: str, zoo: dict[str, Any]) -> None:
    animal = zoo[name]
    network, inputs = animal(), animal.example()
    structure = Structure(network, *inputs)
    for layer in changeable(structure):
        before, parameters = tensors(network), dict(network.named_parameters())
        reinitialise_units(structure, layer.name, [0])
        assert all(parameters[key] is value for key, value in network.named_parameters())
        for slot in layer.slots:
            others = slot.positions[1:].flatten()
            after = tensor_of(network, slot.tensor)
            crossing = [one for one in layer.slots if one.tensor == slot.tensor and one is not slot]
            if not crossing:
                kept = after.index_select(slot.dim, others), before[slot.tensor].index_select(slot.dim, others)
                assert torch.equal(*kept), slot.tensor
            if slot.role is Role.FAN_OUT:
                assert not after.index_select(slot.dim, slot.positions[0]).any()
            if slot.role is Role.FAN_IN and not crossing:
                first = slot.positions[0]
                assert not torch.equal(
                    after.index_select(slot.dim, first), before[slot.tensor].index_select(slot.dim, first)
                )


def test_a_hand_worked_creation_and_removal() -> None:
    network = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 1))
    network[0].weight.data = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    network[2].weight.data = torch.tensor([[5.0, 6.0]])
    structure = Structure(network, torch.zeros(1, 2))

    class Sevens(Initialiser):
        def start(self, growth: Any) -> Any:
            from lifelong.structure import Start

            return Start({slot: torch.full(growth.shape(slot), 7.0) for slot in growth.layer.slots})

    change = create_units(structure, "0", 1, new=Sevens())
    assert network[0].weight.tolist() == [[1, 2], [3, 4], [7, 7]]
    assert network[2].weight.tolist() == [[5, 6, 7]]
    assert (network[0].out_features, network[2].in_features) == (3, 3)
    assert change.maps["2.weight"][1].tolist() == [0, 1, -1]
    fisher = change.carry({"0.weight": torch.ones(2, 2), "0.bias": torch.ones(2), "2.bias": torch.ones(1)})
    assert fisher["0.weight"].tolist() == [[1, 1], [1, 1], [0, 0]]
    assert fisher["2.bias"].tolist() == [1]
    remove_units(structure, "0", [0])
    assert network[0].weight.tolist() == [[3, 4], [7, 7]]
    assert network[2].weight.tolist() == [[6, 7]]


def test_a_flattened_channel_takes_its_whole_map_along(zoo: dict[str, Any]) -> None:
    network = zoo["cnn-batchnorm"]()
    before = network[9].weight.detach().clone()
    structure = Structure(network, *zoo["cnn-batchnorm"].example())
    remove_units(structure, "4", [1, 4])
    kept = [*range(4), *range(8, 16), *range(20, 24)]
    assert torch.equal(network[9].weight, before[:, kept])


def test_a_new_channel_of_a_concatenation_goes_behind_those_of_its_own_layer(zoo: dict[str, Any]) -> None:
    network = zoo["dense"]()
    before = network.three.weight.detach().clone()
    create_units(Structure(network, *zoo["dense"].example()), "one", 1)
    assert torch.equal(network.three.weight[:, [0, 1, 2, 3, 5, 6, 7, 8, 9]], before)
    assert not network.three.weight[:, 4].any()


def test_splitting_keeps_the_sum_of_the_fan_out(zoo: dict[str, Any]) -> None:
    network = zoo["mlp"]()
    before = network[2].weight.detach().clone()
    split_units(Structure(network, *zoo["mlp"].example()), "0", [1, 3], generator=torch.Generator().manual_seed(0))
    after = network[2].weight.detach()
    torch.testing.assert_close(after[:, [1, 3]] + after[:, [5, 6]], before[:, [1, 3]])
    assert not torch.equal(network[0].weight[1], network[0].weight[5])
    torch.testing.assert_close(network[0].weight[1], network[0].weight[5], atol=0.1, rtol=0)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda structure: create_units(structure, "0", 0), "at least 1, not 0"),
        (lambda structure: create_units(structure, "0", 1.5), "at least 1, not 1.5"),
        (lambda structure: create_units(structure, "1", 1), "no layer '1'; the nearest are"),
        (
            lambda structure: create_units(structure, "4", 1),
            "the units of '4' are fixed: they are the network's outputs",
        ),
        (lambda structure: remove_units(structure, "0", range(5)), "its last unit cannot be removed"),
        (lambda structure: remove_units(structure, "0", [5]), "has units 0 to 4, there is no unit 5"),
        (lambda structure: remove_units(structure, "0", [-1]), "there is no unit -1"),
        (lambda structure: remove_units(structure, "0", [1, 1]), "unit 1 is named twice"),
        (lambda structure: remove_units(structure, "0", []), "no unit was named"),
        (lambda structure: merge_units(structure, "0", [[1]]), "at least two units"),
        (lambda structure: merge_units(structure, "0", [[1, 2], [2, 3]]), "unit 2 is named twice"),
        (
            lambda structure: reinitialise_units(structure, "0", [0], new=Copy([1])),
            "Copy is for units that are created",
        ),
        (lambda structure: create_units(structure, "0", 2, new=Copy([1])), "2 units cannot copy 1"),
    ],
)
def test_refused_with_a_reason_and_nothing_changed(zoo: dict[str, Any], call: Any, said: str) -> None:
    network = zoo["mlp"]()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    structure = Structure(network, *zoo["mlp"].example(), optimizer=optimizer)
    before, objects = tensors(network), list(network.parameters())
    with pytest.raises(StructureError, match=said):
        call(structure)
    assert_same(network, before)
    assert all(one is other for one, other in zip(objects, network.parameters(), strict=True))
    assert all(one is other for one, other in zip(objects, optimizer.param_groups[0]["params"], strict=True))


def test_tied_weights_cannot_start_without_fan_out(zoo: dict[str, Any]) -> None:
    structure = Structure(zoo["tied"](), *zoo["tied"].example())
    with pytest.raises(StructureError, match="tied"):
        create_units(structure, "encoder", 1, new=ZeroFanOut())
    change: Change = create_units(structure, "encoder", 1, new=Fresh())
    assert change.units == (5,)


def test_sizes_that_are_written_into_the_code_are_found_before_anything_changes() -> None:
    class Fixed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.head = nn.Conv2d(1, 4, 3), nn.Linear(16, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.conv(x).view(-1, 16))

    network = Fixed()
    structure = Structure(network, torch.zeros(2, 1, 4, 4))
    before = tensors(network)
    with pytest.raises(StructureError, match=r"cannot run"):
        create_units(structure, "conv", 1)
    assert_same(network, before)
    assert network.conv.out_channels == 4
    assert network(torch.zeros(2, 1, 4, 4)).shape == (2, 2)


def test_layers_that_are_excluded_from_training_do_not_grow(zoo: dict[str, Any]) -> None:
    network = zoo["mlp"]()
    network[0].requires_grad_(False)
    structure = Structure(network, *zoo["mlp"].example())
    with pytest.raises(StructureError, match="could never learn"):
        create_units(structure, "0", 1)
    remove_units(structure, "0", [0])
    assert [parameter.requires_grad for parameter in network[0].parameters()] == [False, False]


def test_a_merged_unit_has_every_synapse_that_one_of_its_parts_has() -> None:
    network = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3))
    network[0].weight.data[1] = network[0].weight.data[0]
    network[0].bias.data[1] = network[0].bias.data[0]
    x = torch.randn(4, 6)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.0)
    structure = Structure(network, x, optimizer=optimizer)
    gone = torch.zeros(3, 5, dtype=torch.bool)
    gone[:, 0] = True
    gone[0, 1:3] = True
    prune_synapses(structure, "2.weight", gone)
    before = network(x)
    merge_units(structure, "0", [(0, 1)])
    network(x).sum().backward()
    optimizer.step()  # which sets pruned synapses to zero
    torch.testing.assert_close(network(x), before)
    assert masks(network)["2.weight"][:, 0].tolist() == [False, True, True]
    assert masks(network)["2.weight"][:, 1:].tolist() == [[False, True, True], [True] * 3, [True] * 3]


def test_attributes_and_memory_format_of_tensors_stay() -> None:
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 2, 3)).to(memory_format=torch.channels_last)
    network[0].weight.own = "mine"
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)
    x = torch.randn(2, 3, 6, 6)
    network(x).sum().backward()
    optimizer.step()
    structure = Structure(network, x, optimizer=optimizer)
    for change in (lambda: create_units(structure, "0", 2), lambda: remove_units(structure, "0", [1])):
        change()
        weight = network[0].weight
        assert weight.own == "mine"
        assert weight.is_contiguous(memory_format=torch.channels_last)
        assert optimizer.state[weight]["momentum_buffer"].is_contiguous(memory_format=torch.channels_last)


def test_a_hook_on_a_parameter_is_not_lost() -> None:
    network = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3))
    structure = Structure(network, torch.zeros(4, 6))
    weight = network[2].weight
    for register in (weight.register_hook, weight.register_post_accumulate_grad_hook):
        hook = register(lambda _: None)
        with pytest.raises(StructureError, match=re.escape("'2.weight' has a hook")):
            remove_units(structure, "0", [1])
        assert network[2].weight is weight
        hook.remove()
    remove_units(structure, "0", [1])


def test_layers_of_one_frozen_unit_grow() -> None:
    network = nn.Sequential(nn.Linear(6, 1), nn.ReLU(), nn.Linear(1, 1), nn.ReLU(), nn.Linear(1, 3))
    structure = Structure(network, torch.zeros(4, 6))
    freeze_units(structure, "2")
    weight = network[2].weight.clone()
    create_units(structure, "0", 2)
    assert network[2].weight.tolist() == [[weight.item(), 0.0, 0.0]]
    assert frozen_units(structure, "2") == (0,)
    create_units(structure, "2", 1)
    assert frozen_units(structure, "2") == (0,)
