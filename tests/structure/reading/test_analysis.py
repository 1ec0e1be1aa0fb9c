"""Which tensors move together: hand-worked cases, networks that people use, and what is refused."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from avalanche.models import MTSimpleMLP, SimpleCNN, SimpleMLP, SlimResNet18
from torch import Tensor, nn
from torchvision.models import get_model

from lifelong.models.networks.convolutional import cnn
from lifelong.models.networks.fully_connected import mlp
from lifelong.models.networks.residual import slim_resnet18
from lifelong.structure import Role, Structure, StructureError, create_units, remove_units


def places(structure: Structure, layer: str) -> dict[tuple[str, int], tuple[str, int]]:
    """Role and width of each slot, by tensor and dimension."""
    return {(slot.tensor, slot.dim): (str(slot.role), slot.width) for slot in structure.layer(layer).slots}


def test_a_chain() -> None:
    network = nn.Sequential(
        nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten(), nn.Linear(12, 5), nn.Linear(5, 2)
    )
    structure = Structure(network, torch.zeros(2, 1, 4, 4))
    assert list(structure.layers) == ["0", "4", "5"]
    assert places(structure, "0") == {
        ("0.weight", 0): ("fan-in", 1),
        ("0.bias", 0): ("own", 1),
        ("1.weight", 0): ("own", 1),
        ("1.bias", 0): ("own", 1),
        ("1.running_mean", 0): ("own", 1),
        ("1.running_var", 0): ("own", 1),
        ("4.weight", 1): ("fan-out", 4),
    }
    assert structure.layer("0").slots[-1].positions.tolist() == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]
    assert structure.layers["5"].fixed == "they are the network's outputs"
    assert structure.flows["3"].inputs == (torch.Size([2, 3, 2, 2]),)
    assert structure.flows["3"].output == torch.Size([2, 12])


def test_layers_of_a_residual_stream_share_their_units(zoo: dict[str, Any]) -> None:
    structure = Structure(zoo["residual"](), *zoo["residual"].example())
    first, second = places(structure, "0"), places(structure, "1.conv2")
    assert first == second
    assert {slot for slot, (role, _) in first.items() if role == "fan-in"} == {("0.weight", 0), ("1.conv2.weight", 0)}
    assert {slot for slot, (role, _) in first.items() if role == "fan-out"} == {
        ("1.conv1.weight", 1), ("2.conv1.weight", 1), ("2.shortcut.weight", 1),
    }  # fmt: skip


def test_units_of_each_kind(zoo: dict[str, Any]) -> None:
    units = {
        name: {layer.name: layer.units for layer in Structure(zoo[name](), *zoo[name].example()).layers.values()}
        for name in ("cnn-groupnorm", "separable", "grouped", "transformer", "tied")
    }
    assert units["cnn-groupnorm"] == {"0": 2, "4": 2, "9": 5, "11": 3}  # the groups that are normalised together
    assert units["separable"] == {"0": 4, "5": 5, "8": 3}  # the depthwise channels are those before it
    assert units["grouped"] == {"0": 3, "2": 4, "5": 3}  # a channel of each group
    assert units["transformer"]["attention"] == 4  # heads
    assert units["tied"]["encoder"] == 5


def test_layer_normalisation_is_known_to_mix(zoo: dict[str, Any]) -> None:
    structure = Structure(zoo["transformer"](), *zoo["transformer"].example())
    assert structure.layer("embed").mixed == ("norm1", "norm2")
    assert structure.layer("up").mixed == ()
    assert ("token", 2) in places(structure, "embed")
    assert {role for role, _ in places(structure, "attention").values()} == {"fan-in", "own", "fan-out"}


def test_heads_that_are_not_in_use_belong_to_it(zoo: dict[str, Any]) -> None:
    structure = Structure(zoo["heads"](), *zoo["heads"].example())
    readers = [slot.tensor for slot in structure.layer("features").slots_of(Role.FAN_OUT)]
    assert readers == ["heads.0.weight", "heads.1.weight", "heads.2.weight"]
    assert all(structure.layers[f"heads.{task}"].fixed for task in range(3))


def multi_task() -> nn.Module:
    """Avalanche's, after three tasks."""
    network = MTSimpleMLP(input_size=6, hidden_size=5)
    for task in range(3):
        seen = SimpleNamespace(classes_in_this_experience=[0, 1 + task], task_labels=[task], dataset=None)
        for module in network.modules():
            if hasattr(module, "adaptation"):
                module.adaptation(seen)
    return network


@pytest.mark.parametrize("labels", [torch.tensor([0, 1, 1, 2]), torch.ones(4, dtype=torch.long), 2])
def test_avalanches_multi_head_classifier_grows_in_all_heads(labels: Tensor | int) -> None:
    network = multi_task()
    structure = Structure(network, torch.randn(4, 6), labels)
    create_units(structure, "features.0", 3)
    assert [head.classifier.in_features for head in network.classifier.classifiers.values()] == [8, 8, 8]
    assert network.classifier.in_features == 8
    later = SimpleNamespace(classes_in_this_experience=[0, 1], task_labels=[3], dataset=None)
    network.classifier.adaptation(later)
    remove_units(structure, "features.0", [0])
    assert network(torch.randn(2, 6), torch.tensor([3, 0])).shape[0] == 2


IMAGE = torch.zeros(2, 3, 32, 32)


@pytest.mark.parametrize(
    ("make", "inputs", "layers", "fixed"),
    [
        (lambda: get_model("resnet18"), IMAGE, 21, 1),
        (lambda: get_model("vgg11_bn"), IMAGE, 11, 1),
        (lambda: get_model("mobilenet_v2"), IMAGE, 36, 1),
        (lambda: get_model("vit_b_16", image_size=32), IMAGE, 50, 1),
        (lambda: get_model("densenet121"), IMAGE, 121, 1),
        (lambda: SimpleMLP(hidden_layers=3), torch.zeros(2, 1, 28, 28), 4, 1),
        (SimpleCNN, IMAGE, 6, 1),
        (lambda: SlimResNet18(10), IMAGE, 21, 1),
        (lambda: nn.Sequential(mlp((6,)), nn.Linear(400, 2)), torch.zeros(2, 6), 3, 1),
        (lambda: nn.Sequential(cnn((3, 32, 32)), nn.Linear(128, 2)), IMAGE, 4, 1),
        (lambda: nn.Sequential(slim_resnet18((3, 32, 32)), nn.Linear(160, 2)), IMAGE, 21, 1),
    ],
    ids=["resnet18", "vgg11_bn", "mobilenet_v2", "vit_b_16", "densenet121", "SimpleMLP",
         "SimpleCNN", "SlimResNet18", "mlp", "cnn", "slim-resnet18"],
)  # fmt: skip
def test_networks_that_people_use(make: Any, inputs: Tensor, layers: int, fixed: int) -> None:
    network = make()
    structure = Structure(network, inputs)
    found = list(structure.layers.values())
    assert (len(found), sum(layer.fixed is not None for layer in found)) == (layers, fixed)
    changing = [layer for layer in found if layer.fixed is None and not layer.mixed]
    for layer in {changing[0], changing[len(changing) // 2], changing[-1]}:
        create_units(structure, layer.name, 2)
        remove_units(structure, layer.name, [0])
        assert structure.layer(layer.name).units == layer.units + 1
    with torch.no_grad():
        assert torch.isfinite(network.eval()(inputs)).all()


def test_a_width_that_torchvision_writes_into_its_code_is_refused() -> None:
    network = get_model("vit_b_16", image_size=32)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    structure = Structure(network, IMAGE)
    with pytest.raises(StructureError, match=r"'conv_proj': with the new sizes .* written into the network's code"):
        remove_units(structure, "conv_proj", [0])
    after = network.state_dict()
    assert after.keys() == before.keys()
    assert all(torch.equal(tensor, before[name]) for name, tensor in after.items())
    assert type(network.encoder.layers[0].self_attention) is nn.MultiheadAttention
    remove_units(structure, "encoder.layers.encoder_layer_3.self_attention", [0, 7])
    with torch.no_grad():
        assert network.eval()(IMAGE).shape == (2, 1000)


def test_nothing_is_computed_drawn_or_updated(zoo: dict[str, Any]) -> None:
    for name in ("cnn-batchnorm", "transformer"):
        network = zoo[name]().train()
        before = {key: value.clone() for key, value in network.state_dict().items()}
        inputs = zoo[name].example()
        random = torch.get_rng_state()
        Structure(network, *inputs)
        assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
        assert network.training
        assert all(module.training for module in network.modules())
        assert torch.equal(torch.get_rng_state(), random)


def test_the_analysis_is_kept_until_a_size_changes(zoo: dict[str, Any]) -> None:
    network = zoo["mlp"]()
    structure = Structure(network, *zoo["mlp"].example())
    kept = structure.layers
    network[0].weight.data.add_(1)
    assert structure.layers is kept
    network[4] = nn.Linear(7, 9)
    assert structure.layers is not kept
    assert structure.layers["4"].units == 9


class Sorted(nn.Module):
    """Something that no rule knows, between two layers."""

    def forward(self, x: Tensor) -> Tensor:
        return x.sort(1).values


def test_what_is_not_understood_is_fixed_and_the_rest_is_not() -> None:
    network = nn.Sequential(nn.Linear(4, 5), Sorted(), nn.Linear(5, 6), nn.ReLU(), nn.Linear(6, 2))
    structure = Structure(network, torch.zeros(2, 4))
    assert structure.layers["0"].fixed == "they pass through sort, which has no rule, in '1'"
    with pytest.raises(StructureError, match=r"the units of '0' are fixed: they pass through sort"):
        create_units(structure, "0")
    create_units(structure, "2", 2)


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        (lambda: nn.Softmax(1), "share a softmax"),
        (lambda: nn.Unflatten(1, (2, 3)), "reshaped to"),
        (lambda: nn.LayerNorm(6, elementwise_affine=False), "no tensor to read its size from"),
    ],
)
def test_why_units_are_fixed(module: Any, reason: str) -> None:
    between = module()
    network = nn.Sequential(nn.Linear(4, 6), between, nn.Flatten(), nn.Linear(6, 2))
    assert reason in (Structure(network, torch.zeros(2, 4)).layers["0"].fixed or "")


@pytest.mark.parametrize(
    "norm",
    [
        lambda: nn.GroupNorm(2, 4, affine=False),
        lambda: nn.InstanceNorm2d(4),
        lambda: nn.LayerNorm((4, 3, 3), elementwise_affine=False),
        lambda: nn.BatchNorm2d(4, affine=False, track_running_stats=False),
    ],
)
def test_a_normalisation_without_tensors_cannot_follow(norm: Any) -> None:
    structure = Structure(nn.Sequential(nn.Conv2d(1, 4, 3), norm(), nn.Conv2d(4, 2, 3)), torch.zeros(2, 1, 5, 5))
    assert "no tensor to read its size from" in (structure.layers["0"].fixed or "")


class Chunked(nn.Module):
    """A gate that cuts its units in two halves."""

    def __init__(self) -> None:
        super().__init__()
        self.up, self.down = nn.Linear(4, 6), nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        value, gate = self.up(x).chunk(2, dim=1)
        return self.down(value * gate.sigmoid())


class Added(nn.Module):
    """A residual sum with the network's input."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.head = nn.Linear(4, 4), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(x + self.layer(x))


def test_units_that_are_bound_to_a_place_or_to_the_input_are_fixed() -> None:
    assert Structure(Chunked(), torch.zeros(2, 4)).layers["up"].fixed == "they are cut at fixed places"
    assert (
        Structure(Added(), torch.zeros(2, 4)).layers["layer"].fixed
        == "they are combined with a tensor that cannot change"
    )


class Unused(nn.Module):
    """A layer that the forward pass does not reach."""

    def __init__(self) -> None:
        super().__init__()
        self.used, self.spare = nn.Linear(4, 3), nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.used(x)


def _refused() -> list[tuple[str, Any, tuple[Any, ...], str]]:
    chain = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 2))
    with pytest.warns(FutureWarning, match="deprecated"):
        traced = torch.jit.trace(nn.Linear(4, 5), torch.zeros(1, 4), check_trace=False)
    return [
        (
            "traced",
            lambda: nn.Sequential(traced, nn.Linear(5, 2)),
            (torch.zeros(1, 4),),
            "module '0' is traced or scripted",
        ),
        ("unreached", Unused, (torch.zeros(1, 4),), "do not reach 'spare.weight', 'spare.bias'"),
        ("shape", lambda: chain, (torch.zeros(1, 3),), "module '0' cannot run on inputs of this shape"),
        ("lazy", lambda: nn.Sequential(nn.LazyLinear(3)), (torch.zeros(1, 4),), "module '0' has no sizes yet"),
        ("compiled", lambda: torch.compile(chain), (torch.zeros(1, 4),), "is compiled"),
    ]


def test_networks_that_are_refused() -> None:
    for name, make, inputs, said in _refused():
        with pytest.raises(StructureError) as refusal:
            Structure(make(), *inputs)
        assert said in str(refusal.value), name


def test_no_position_belongs_to_two_units(zoo: dict[str, Any]) -> None:
    for name, animal in zoo.items():
        for layer in Structure(animal(), *animal.example()).layers.values():
            for slot in layer.slots:
                assert len(slot.positions.unique()) == slot.positions.numel(), name
