"""What networks cost, against hand-worked numbers and torch's own counter."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models import mobilenet_v2, resnet18, vit_b_16

from lifelong.structure.counting import NetworkTally, Tally, count
from lifelong.structure.holding.marks import set_alive
from lifelong.structure.reading.attention import free_heads

FLOAT = 4
"""Bytes."""


def mlp() -> nn.Module:
    """Two layers of weights."""
    return nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2, bias=False))


def test_a_perceptron_by_hand() -> None:
    found = count(mlp(), torch.randn(5, 3))
    # Kept: the inputs (5 x 3), for the first weight's gradient, and the activations (5 x 4), for both ReLU's and the
    # second weight's. The outputs are not.
    first = Tally(
        parameters=16, live_parameters=16, synapses=12, live_synapses=12, units=4, live_units=4,
        macs=5 * 12, live_macs=5 * 12, activation_bytes=5 * 3 * FLOAT,
    )  # fmt: skip
    second = Tally(
        parameters=8, live_parameters=8, synapses=8, live_synapses=8, units=2, live_units=2,
        macs=5 * 8, live_macs=5 * 8, activation_bytes=5 * 4 * FLOAT,
    )  # fmt: skip
    assert found == NetworkTally(
        parameters=24, live_parameters=24, synapses=20, live_synapses=20, units=6, live_units=6,
        macs=100, live_macs=100, activation_bytes=5 * (3 + 4) * FLOAT, layers={"0": first, "2": second},
    )  # fmt: skip
    assert found.density == 1.0


def test_a_masked_perceptron_by_hand() -> None:
    network = mlp()
    alive = torch.ones(4, 3, dtype=torch.bool)
    alive[1] = False
    alive[2, 0] = False
    set_alive(network, "0.weight", alive)
    found = count(network, torch.randn(5, 3))
    first = found.layers["0"]
    assert (first.parameters, first.live_parameters, first.synapses, first.live_synapses) == (16, 12, 12, 8)
    assert (first.units, first.live_units, first.macs, first.live_macs) == (4, 3, 60, 40)
    assert first.density == pytest.approx(8 / 12)
    assert (found.parameters, found.live_parameters, found.units, found.live_units) == (24, 20, 6, 5)
    assert (found.macs, found.live_macs) == (100, 80)
    assert found.density == pytest.approx(16 / 20)


def test_convolutions_by_hand() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), nn.Conv2d(4, 8, 3, groups=4, padding=1), nn.BatchNorm2d(8))
    alive = torch.ones(8, 1, 3, 3, dtype=torch.bool)
    alive[:2] = False
    alive[2, 0, 0] = False
    set_alive(network, "1.weight", alive)
    found = count(network, torch.randn(2, 3, 8, 8))
    dense, depthwise, norm = (found.layers[name] for name in "012")
    assert (dense.units, dense.macs, dense.live_macs) == (4, 2 * 36 * 4 * 3 * 9, 2 * 36 * 4 * 3 * 9)
    assert (depthwise.parameters, depthwise.synapses, depthwise.live_synapses) == (80, 72, 72 - 18 - 3)
    assert (depthwise.units, depthwise.live_units) == (8, 6)
    assert (depthwise.macs, depthwise.live_macs) == (2 * 36 * 72, 2 * 36 * 51)
    assert (norm.parameters, norm.synapses, norm.units, norm.macs) == (16, 0, 0, 0)
    assert norm.density == 1.0
    # each keeps what it reads: 3 x 8 x 8, 4 x 6 x 6 and 8 x 6 x 6 values of each of the two images
    kept = [2 * values * FLOAT for values in (3 * 64, 4 * 36, 8 * 36)]
    assert [dense.activation_bytes, depthwise.activation_bytes] == kept[:2]
    assert kept[2] <= norm.activation_bytes <= kept[2] + 2 * 8 * FLOAT  # perhaps with the mean and deviation used
    assert found.activation_bytes == dense.activation_bytes + depthwise.activation_bytes + norm.activation_bytes


def test_the_units_of_a_transposed_convolution_are_its_outputs() -> None:
    network = nn.ConvTranspose1d(4, 6, 2, groups=2)
    alive = torch.ones(4, 3, 2, dtype=torch.bool)
    alive[:2, 1] = False  # the second output of the first group
    alive[2, 0] = False  # one of two synapses of the fourth
    set_alive(network, "weight", alive)
    found = count(network, torch.randn(1, 4, 5))
    assert (found.units, found.live_units) == (6, 5)
    assert found.layers[""].macs == found.macs == 5 * 4 * 3 * 2
    assert found.live_macs == found.macs * 18 // 24


@pytest.mark.parametrize("freed", [False, True])
def test_attention_by_hand(freed: bool) -> None:
    network = nn.TransformerEncoderLayer(8, 4, 16, batch_first=True)
    if freed:
        free_heads(network.self_attn)
    projections, out = torch.ones(24, 8, dtype=torch.bool), torch.ones(8, 8, dtype=torch.bool)
    projections.view(3, 4, 16)[:, 1] = False  # a head
    projections.view(3, 4, 16)[0, 2] = False  # the queries of another
    out[:4] = False
    set_alive(network, "self_attn.in_proj_weight", projections)
    set_alive(network, "self_attn.out_proj.weight", out)
    for grad in (True, False):
        with torch.set_grad_enabled(grad):
            found = count(network.eval(), torch.randn(2, 5, 8))
        heads, leaving = found.layers["self_attn"], found.layers["self_attn.out_proj"]
        scores = 2 * 2 * 4 * (5 * 5 * 2)  # twice, for two sequences and four heads
        assert (heads.units, heads.live_units) == (4, 3)
        assert heads.macs == 10 * 192 + scores
        assert heads.live_macs == 10 * (192 - 64) + scores
        assert (leaving.units, leaving.live_units, leaving.macs, leaving.live_macs) == (8, 4, 640, 320)
        assert found.macs == heads.macs + 640 + 2 * 10 * 128


class Twice(nn.Module):
    """A layer that is called twice, and one that is tied to it, with a product that is no layer's."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.tied = nn.Linear(4, 4), nn.Linear(4, 4, bias=False)
        self.tied.weight = self.layer.weight
        self.alias = self.layer

    def forward(self, x: Tensor) -> Tensor:
        x = self.tied(self.alias(self.layer(x)))
        return x @ x.t()


def test_shared_modules_and_weights() -> None:
    network = Twice()
    alive = torch.ones(4, 4, dtype=torch.bool)
    alive[0] = False
    set_alive(network, "layer.weight", alive)
    found = count(network, torch.randn(3, 4))
    assert (found.parameters, found.live_parameters) == (20, 16)
    assert found.layers["tied"].parameters == 0
    assert found.layers["tied"].live_units == 3
    assert found.macs == 3 * (3 * 16) + 3 * 3 * 4
    assert found.live_macs == 3 * (3 * 12) + 3 * 3 * 4
    assert found.layers["layer"].macs == 3 * (3 * 16)
    assert set(found.layers) == {"layer", "tied"}
    # the layers read x and what each other made; the product keeps its x once, though it reads it twice
    assert found.layers["layer"].activation_bytes == 2 * 12 * FLOAT
    assert found.layers["tied"].activation_bytes == 12 * FLOAT
    assert found.activation_bytes == 4 * 12 * FLOAT


def reference(network: nn.Module, *inputs: Any) -> int:
    """torch's own count, of the slow path."""
    with FlopCounterMode(display=False) as counter:
        deepcopy(network).train()(*inputs)
    return counter.get_total_flops()


@pytest.mark.parametrize("make", [resnet18, mobilenet_v2, vit_b_16])
def test_torchvisions_networks_agree_with_torchs_counter(make: Callable[[], nn.Module]) -> None:
    network, x = make().to("meta"), torch.empty(2, 3, 224, 224, device="meta")
    found = count(network, x)
    assert 2 * found.macs == reference(network, x)
    assert found.macs == found.live_macs == sum(layer.macs for layer in found.layers.values())
    assert found.parameters == found.live_parameters == sum(parameter.numel() for parameter in network.parameters())
    assert found.parameters == sum(layer.parameters for layer in found.layers.values())


def test_published_counts() -> None:
    """He et al. 2016 give 1.8e9 for the 18-layer network, Sandler et al. 2018 0.3e9 for MobileNetV2."""
    x = torch.empty(1, 3, 224, 224, device="meta")
    assert count(resnet18().to("meta"), x).macs == pytest.approx(1.8e9, rel=0.02)
    assert count(mobilenet_v2().to("meta"), x).macs == pytest.approx(0.3e9, rel=0.01)


def test_real_tensors_count_as_those_without_data() -> None:
    network, x = resnet18(num_classes=3), torch.randn(1, 3, 64, 64)
    found, other = count(network, x), count(deepcopy(network).to("meta"), x.to("meta"))
    assert found.macs == other.macs
    channels = sum(len(buffer) for name, buffer in network.named_buffers() if name.endswith("running_mean"))
    # without data, each normalisation is said to keep the mean and the deviation used
    assert other.activation_bytes - found.activation_bytes == 2 * channels * FLOAT


NAMES = ["mlp-batchnorm", "cnn-groupnorm", "separable", "grouped", "upsampling", "residual", "dense", "transformer",
         "heads", "incremental", "tied", "loop", "own-cnn", "own-resnet"]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_small_networks_agree_with_torchs_counter(zoo: Mapping[str, Any], name: str) -> None:
    network, inputs = zoo[name](), zoo[name].example()
    found = count(network, *inputs)
    assert 2 * found.macs == reference(network, *inputs) > 0
    assert found.parameters == sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize("name", NAMES)
def test_memory_is_what_autograd_keeps(zoo: Mapping[str, Any], name: str) -> None:
    """Seen from outside: the storages that the graph of a training pass holds on to."""
    network, inputs = zoo[name](), zoo[name].example()
    found = count(network, *inputs).activation_bytes
    for module in network.modules():
        module.training = not isinstance(module, nn.modules.batchnorm._BatchNorm)
    own = {tensor.untyped_storage().data_ptr() for tensor in [*network.parameters(), *network.buffers()]}
    output = network(*inputs)
    kept: dict[int, int] = {}
    nodes, seen = [output.grad_fn], set()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        while nodes:
            node = nodes.pop()
            if node is None or node in seen:
                continue
            seen.add(node)
            nodes += [following for following, _ in node.next_functions]
            for attribute in dir(node):
                if attribute.startswith("_saved_") and isinstance(value := getattr(node, attribute), Tensor):
                    storage = value.untyped_storage()
                    if storage.data_ptr() not in own:
                        kept[storage.data_ptr()] = storage.nbytes()
    assert found == sum(kept.values()) > 0


def test_views_of_large_inputs_count_by_their_own_size() -> None:
    data = torch.randn(1000, 3)
    assert count(mlp(), data[:5]).activation_bytes == count(mlp(), torch.randn(5, 3)).activation_bytes


class Dropping(nn.Module):
    """Draws, updates its statistics, writes into its inputs and chooses by the values of a tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(4, momentum=0.5)
        self.instance = nn.InstanceNorm1d(4, track_running_stats=True)
        self.heads = nn.ModuleList(nn.Linear(4, 2) for _ in range(3))
        self.register_buffer("calls", torch.tensor(0))

    def forward(self, x: Tensor, tasks: Tensor) -> Tensor:
        self.calls += 1
        x = x.mul_(2)
        x = nn.functional.dropout(self.norm(x), 0.5)
        x = self.instance(x.t().reshape(1, 4, -1)).reshape(-1, 4)
        out = torch.zeros(len(x), 2)
        for task in torch.unique(tasks).tolist():
            chosen = tasks == task
            out[chosen] = self.heads[task](x[chosen])
        return out


@pytest.mark.filterwarnings("ignore:input's size at dim")
@pytest.mark.parametrize("training", [True, False])
def test_nothing_changes(training: bool) -> None:
    network = Dropping().train(training)
    network.norm.eval()
    network.heads[0].weight.grad = torch.ones(2, 4)
    x, tasks = torch.randn(6, 4), torch.tensor([0, 2, 2, 0, 2, 2])
    state, given = deepcopy(network.state_dict()), x.clone()
    buffers = {name: id(buffer) for name, buffer in network.named_buffers()}
    modes = [module.training for module in network.modules()]
    grads = torch.ones(2, 4)
    random = torch.get_rng_state()
    fast_path = torch.backends.mha.get_fastpath_enabled()
    found = count(network, x, tasks)
    assert found.macs == 6 * 8
    assert found.layers["heads.1"].macs == 0
    assert torch.equal(torch.get_rng_state(), random)
    assert torch.backends.mha.get_fastpath_enabled() is fast_path
    assert torch.equal(x, given)
    assert [module.training for module in network.modules()] == modes
    assert {name: id(buffer) for name, buffer in network.named_buffers()} == buffers
    assert all(torch.equal(tensor, state[name]) for name, tensor in network.state_dict().items())
    assert [parameter.grad is not None for parameter in network.parameters()].count(True) == 1
    assert torch.equal(network.heads[0].weight.grad, grads)
    assert not torch.nn.modules.module._global_forward_pre_hooks
    assert not torch.nn.modules.module._global_forward_hooks


def test_modes_and_hooks_are_put_back_after_an_error() -> None:
    network = nn.Sequential(nn.Linear(3, 4), nn.Linear(5, 2))
    network[0].eval()
    with pytest.raises(RuntimeError):
        count(network, torch.randn(2, 3))
    assert [module.training for module in network.modules()] == [True, False, True]
    assert not torch.nn.modules.module._global_forward_hooks


def test_a_batch_of_one_will_do() -> None:
    network = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
    assert count(network, torch.randn(1, 3)).macs == 20


def test_a_frozen_network_keeps_nothing() -> None:
    assert count(mlp().requires_grad_(False), torch.randn(5, 3)).activation_bytes == 0
