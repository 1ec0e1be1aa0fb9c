"""A network that is rebuilt from its constructor and blueprint is the changed network, bit for bit."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torchvision.models import VisionTransformer, resnet18

from lifelong.structure import Structure, StructureError, create_units, freeze_units, prune_synapses, remove_units
from lifelong.structure.blueprint import blueprint, rebuild
from lifelong.structure.holding.marks import frozen, marks, masks, set_alive, set_frozen
from lifelong.structure.operators.layers import insert_layer, remove_layer
from lifelong.structure.reading.attention import HeadAttention

NAMES = [
    "mlp-batchnorm", "mlp-layernorm", "cnn-batchnorm", "cnn-groupnorm", "separable", "grouped", "upsampling",
    "residual", "dense", "transformer", "heads", "incremental", "tied", "own-cnn", "own-resnet",
]  # fmt: skip
STEPS = ("create", "remove", "prune", "freeze", "insert", "take out")


def step(structure: Structure, kind: str, draw: Callable[[int], int]) -> None:
    """One change of that kind at a random place."""
    layers = [layer for layer in structure.layers.values() if layer.fixed is None]
    layer = layers[draw(len(layers))] if layers else next(iter(structure.layers.values()))
    modules = [name for name, _ in structure.network.named_modules() if name]
    module = modules[draw(len(modules))]
    if kind == "create":
        create_units(structure, layer.name, 1 + draw(2))
    elif kind == "remove":
        remove_units(structure, layer.name, [draw(layer.units)])
    elif kind == "prune":
        weights = [name for name, weight in structure.network.named_parameters() if weight.dim() > 1]
        weight = weights[draw(len(weights))]
        prune_synapses(structure, weight, torch.rand_like(structure.network.get_parameter(weight)) < 0.4)
    elif kind == "freeze":
        freeze_units(structure, layer.name, [draw(layer.units)])
    elif kind == "insert":
        insert_layer(structure, module)
    else:
        remove_layer(structure, module)


def rebuilt(network: nn.Module, fresh: nn.Module) -> nn.Module:
    """By way of JSON, as from a file."""
    other = rebuild(fresh, json.loads(json.dumps(blueprint(network))))
    assert other is fresh
    other.load_state_dict(network.state_dict(), strict=True)
    return other


def assert_alike(network: nn.Module, other: nn.Module, inputs: tuple[Any, ...]) -> None:
    """Check that two networks agree in structure, marks, outputs, and in what a training pass does to statistics."""
    assert blueprint(other) == blueprint(network)
    assert repr(other) == repr(network)
    for one, two in ((masks(network), masks(other)), (marks(network), marks(other))):
        assert one.keys() == two.keys()
        assert all(torch.equal(one[name], two[name]) for name in one)
    for training in (False, True):
        network.train(training)
        other.train(training)
        with torch.no_grad():
            assert torch.equal(network(*inputs), other(*inputs))
    state = other.state_dict()
    assert all(torch.equal(tensor, state[name]) for name, tensor in network.state_dict().items())


@settings(
    max_examples=6,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
@pytest.mark.parametrize("name", NAMES)
def test_any_changes_are_rebuilt(zoo: Mapping[str, Any], name: str, data: st.DataObject) -> None:
    network, inputs = zoo[name](), zoo[name].example()
    structure = Structure(network, *inputs)
    for kind in data.draw(st.lists(st.sampled_from(STEPS), min_size=1, max_size=5)):
        try:
            step(structure, kind, lambda below: data.draw(st.integers(0, below - 1)))
        except StructureError:  # nothing has been changed
            continue
    assert_alike(network, rebuilt(network, zoo[name](seed=9)), inputs)


def test_a_changed_resnet_is_rebuilt() -> None:
    torch.manual_seed(0)
    network, x = resnet18(num_classes=5), torch.randn(2, 3, 40, 40)
    structure = Structure(network, x)
    create_units(structure, "layer1.0.conv1", 3)
    remove_units(structure, "conv1", [3, 5, 60])
    insert_layer(structure, "layer2.0")
    remove_layer(structure, "layer3.1")
    freeze_units(structure, "layer2.1.conv1", [0, 7])
    prune_synapses(structure, "layer4.1.conv2.weight", torch.rand(512, 512, 3, 3) < 0.9)
    network(x)
    assert_alike(network, rebuilt(network, resnet18(num_classes=5)), (x,))


def vit() -> nn.Module:
    """A small vision transformer."""
    return VisionTransformer(image_size=16, patch_size=8, num_layers=2, num_heads=4, hidden_dim=16, mlp_dim=24)


def test_heads_are_rebuilt() -> None:
    torch.manual_seed(0)
    network, x = vit(), torch.randn(2, 3, 16, 16)
    structure = Structure(network, x)
    name = "encoder.layers.encoder_layer_1.self_attention"
    remove_units(structure, name, [2])
    other = rebuilt(network, vit())
    assert isinstance(other.get_submodule(name), HeadAttention)
    assert other.get_submodule(name).num_heads == 3
    assert_alike(network, other, (x,))


def test_training_goes_on_as_in_the_original() -> None:
    """Masks, frozen units and statistics are held in the rebuilt network, too."""
    torch.manual_seed(0)

    def make() -> nn.Module:
        return nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 3))

    x = torch.randn(8, 4)
    network = make()
    structure = Structure(network, x)
    prune_synapses(structure, "3.weight", torch.rand(3, 6) < 0.5)
    freeze_units(structure, "0", [1, 4])
    other = rebuilt(network, make())
    for one in (network, other):
        optimizer = torch.optim.SGD(one.parameters(), lr=0.1, momentum=0.9, weight_decay=0.1)
        held = Structure(one, x, optimizer=optimizer)
        for _ in range(3):
            optimizer.zero_grad()
            one(x).square().sum().backward()
            optimizer.step()
        assert held.network is one
    assert_alike(network, other, (x,))
    assert bool((other[3].weight == 0).any())


class Shared(nn.Module):
    """Two names of one weight, a parameter of its own, and a count."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Linear(3, 4), nn.Linear(3, 4)
        self.two.weight = self.one.weight
        self.token = nn.Parameter(torch.zeros(1, 4), requires_grad=False)
        self.register_buffer("seen", torch.tensor(0))


def test_ties_counts_dtypes_and_flags_are_kept() -> None:
    network = Shared()
    wider = nn.Parameter(torch.randn(6, 3))
    for layer in (network.one, network.two):
        layer.weight, layer.bias, layer.out_features = wider, nn.Parameter(torch.randn(6)), 6
    network.token = nn.Parameter(torch.randn(1, 6))
    network.seen += 3
    fresh = Shared().double()
    bias = fresh.one.bias
    other = rebuilt(network, fresh)
    assert other.one.weight is other.two.weight
    assert other.one.bias is not bias
    assert other.one.weight.dtype is other.token.dtype is torch.float64
    assert other.seen.shape == ()
    assert int(other.seen) == 3
    assert [parameter.requires_grad for parameter in (other.one.weight, other.one.bias, other.token)] == [
        True,
        True,
        False,
    ]
    assert torch.equal(other.token, network.token.double())


def test_a_rebuilt_network_can_be_trained_from_scratch() -> None:
    """New tensors are drawn as the layer's constructor does, pruned synapses are zero, what fits is the same object."""
    changed = nn.Sequential(nn.Linear(4, 50), nn.ReLU(), nn.Linear(50, 3))
    mask = torch.rand(3, 50) < 0.5
    set_alive(changed, "2.weight", mask)
    fresh = nn.Sequential(nn.Linear(4, 9), nn.ReLU(), nn.Linear(9, 3))
    bias = fresh[2].bias
    rebuild(fresh, blueprint(changed))
    assert fresh[2].bias is bias
    assert (fresh[0].out_features, fresh[2].in_features) == (50, 50)
    assert 0.45 < float(fresh[0].weight.detach().abs().max()) <= 0.5
    assert 0.4 < float(fresh[0].bias.detach().abs().max()) <= 0.5
    assert torch.equal(fresh[2].weight != 0, mask)


def changed() -> nn.Module:
    """A small network with something of everything."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.Flatten(), nn.Linear(54, 3))
    set_alive(network, "4.weight", torch.rand(3, 54) < 0.5)
    set_frozen(network, "1.running_mean", torch.tensor([False, True, False, False, False, True]))
    return network


def original() -> nn.Module:
    """Return the network as its constructor makes it."""
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(36, 3))


def test_frozen_marks_are_of_size_one_elsewhere() -> None:
    network = changed()
    mark = torch.zeros(6, 1, 1, 1, dtype=torch.bool)
    mark[2] = True
    set_frozen(network, "0.weight", mark)
    found = frozen(rebuilt(network, original()), "0.weight")
    assert found is not None
    assert torch.equal(found, mark)


def put(*path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    """Damage: a value in a place."""

    def damage(data: Any) -> None:
        for key in path[:-1]:
            data = data[key]
        data[path[-1]] = value

    return damage


def drop(*path: str) -> Callable[[dict[str, Any]], None]:
    """Damage: a place that is not there."""

    def damage(data: Any) -> None:
        for key in path[:-1]:
            data = data[key]
        del data[path[-1]]

    return damage


DAMAGES = {
    "another version": (put("version", value=2), "version is 2"),
    "no version": (drop("version"), "version is None"),
    "no tensors": (drop("tensors"), "damaged.*tensors"),
    "a tensor more": (put("tensors", "5.weight", value=[3]), "'5.weight' is in the blueprint"),
    "a tensor less": (drop("tensors", "1.bias"), "'1.bias' is in the network"),
    "another number of dimensions": (put("tensors", "0.weight", value=[6, 9]), "'0.weight'.*dimensions"),
    "another kernel": (put("tensors", "0.weight", value=[6, 1, 5, 5]), "'0' states other sizes"),
    "another kernel, everywhere": (
        lambda data: (
            put("tensors", "0.weight", value=[6, 1, 5, 5])(data),
            put("modules", "0", "kernel_size", value=[5, 5])(data),
        ),
        "'0'.*kernel_size",
    ),
    "a negative size": (put("tensors", "0.weight", value=[-6, 1, 3, 3]), "damaged"),
    "a size that is no number": (put("tensors", "0.weight", value="many"), "dimensions|damaged"),
    "a size that its tensor has not": (put("modules", "1", "num_features", value=7), "'1' states other sizes"),
    "a bias that does not fit": (put("tensors", "1.bias", value=[7]), "'1' states other sizes"),
    "a module of another kind": (put("modules", "1", value={"normalized_shape": [6]}), "'1'.*BatchNorm2d"),
    "a module more": (put("modules", "9", value={}), "'9' is in the blueprint"),
    "heads of what is no attention": (put("heads", value=["0"]), "'0'.*Conv2d"),
    "heads of nothing": (put("heads", value=["9"]), "'9'"),
    "a layer in no place": (put("layers", "9.9", value={"module": "Removed", "translator": None}), "'9.9'"),
    "a layer of no kind": (put("layers", "0", value={"module": "Eval"}), "Eval"),
    "a mask of nothing": (put("masks", "0.nothing", value={"shape": [1], "bits": "AA=="}), "'0.nothing'"),
    "a mask of another shape": (put("masks", "4.weight", "shape", value=[54, 3]), "'4.weight'"),
    "a mask of too few bits": (put("masks", "4.weight", "bits", value="AA=="), "1 bytes"),
    "a mask of too many bits": (put("masks", "4.weight", "bits", value="A" * 80), "60 bytes"),
    "a mask of no bits": (put("masks", "4.weight", "bits", value="%"), "damaged"),
    "a mark of another shape": (put("frozen", "1.running_mean", "shape", value=[3]), "'1.running_mean'"),
}


def everything(network: nn.Module) -> list[Any]:
    """Each module, its attributes, tensors and hooks, by identity, and the tensors' values."""
    found: list[Any] = []
    for name, module in network.named_modules():
        plain = {key: repr(value) for key, value in module.__dict__.items() if not key.startswith("_")}
        found += [name, id(module), type(module), plain, len(module._forward_hooks)]
        found += [(key, id(value)) for key, value in [*module._parameters.items(), *module._buffers.items()]]
    return [*found, *(tensor.tolist() for tensor in network.state_dict().values())]


@pytest.mark.parametrize("name", DAMAGES)
def test_what_does_not_fit_is_refused_and_nothing_changes(name: str) -> None:
    damage, message = DAMAGES[name]
    data = blueprint(changed())
    network = original()
    rebuild(deepcopy(network), data)
    damage(data)
    before = everything(network)
    with pytest.raises(StructureError, match=message):
        rebuild(network, data)
    assert everything(network) == before


def test_blueprints_of_other_networks_are_refused() -> None:
    with pytest.raises(StructureError, match=r"'layer1\.2\.conv1\.weight' is in the blueprint"):
        rebuild(
            nn.Sequential(nn.Linear(2, 2)), {**blueprint(nn.Sequential()), "tensors": {"layer1.2.conv1.weight": [1]}}
        )
    shared = blueprint(Shared())
    shared["tensors"]["two.weight"] = [5, 3]
    with pytest.raises(StructureError, match=r"'two\.weight' is one with another"):
        rebuild(Shared(), shared)


def test_a_network_that_was_changed_already_is_refused() -> None:
    with pytest.raises(StructureError, match="fresh"):
        rebuild(changed(), blueprint(changed()))


class Positions(nn.Module):
    """A buffer that no state_dict has."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("table", torch.arange(width).float(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.table


def test_values_that_are_saved_nowhere_are_refused() -> None:
    with pytest.raises(StructureError, match=r"'table'.*state_dict"):
        rebuild(Positions(3), blueprint(Positions(4)))
    network = Positions(3)
    assert torch.equal(rebuild(network, blueprint(Positions(3)))(torch.zeros(3)), torch.arange(3.0))


@settings(max_examples=40, deadline=None)
@given(shape=st.lists(st.integers(1, 9), min_size=2, max_size=4), seed=st.integers(0, 99))
def test_any_mask_survives(shape: list[int], seed: int) -> None:
    mask = torch.rand(shape, generator=torch.Generator().manual_seed(seed)) < 0.5
    mask.view(-1)[0] = False
    network = nn.Module()
    network.weight = nn.Parameter(torch.zeros(shape))
    fresh = deepcopy(network)
    set_alive(network, "weight", mask)
    assert torch.equal(masks(rebuild(fresh, json.loads(json.dumps(blueprint(network)))))["weight"], mask)
