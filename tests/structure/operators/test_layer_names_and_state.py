"""Names, optimizer state, hooks and masks follow their parameters when layers are inserted and removed."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from lifelong.structure.blueprint import blueprint, rebuild
from lifelong.structure.holding.marks import masks
from lifelong.structure.operators.layers import insert_layer, remove_layer
from lifelong.structure.operators.synapses import prune_synapses
from lifelong.structure.structure import Structure

OPTIMIZERS: dict[str, Callable[[Any], torch.optim.Optimizer]] = {
    "sgd": lambda parameters: torch.optim.SGD(parameters, lr=0.1, momentum=0.9, weight_decay=0.01),
    "adamw": lambda parameters: torch.optim.AdamW(parameters, lr=0.01),
    "rmsprop": lambda parameters: torch.optim.RMSprop(parameters, lr=0.01, momentum=0.5),
}


def _train(network: nn.Module, optimizer: torch.optim.Optimizer, steps: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        x, y = torch.randn(8, 4, generator=generator), torch.randint(3, (8,), generator=generator)
        optimizer.zero_grad()
        cross_entropy(network(x), y).backward()
        optimizer.step()


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_training_goes_on_as_that_of_the_deeper_network_built_by_hand(kind: str) -> None:
    network = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3))
    optimizer = OPTIMIZERS[kind](network.parameters())
    _train(network, optimizer, 5, seed=1)
    oracle = nn.Sequential(*copy.deepcopy(network)[:2], nn.Linear(6, 6), nn.ReLU(), copy.deepcopy(network[2]))
    with torch.no_grad():
        oracle[2].weight.copy_(torch.eye(6))
        oracle[2].bias.zero_()
    reference = OPTIMIZERS[kind](oracle.parameters())
    for old, new in ((0, 0), (2, 4)):
        for name in ("weight", "bias"):
            of_old = optimizer.state[getattr(network[old], name)]
            reference.state[getattr(oracle[new], name)] = copy.deepcopy(of_old)
    states = {name: optimizer.state[parameter] for name, parameter in network.named_parameters()}
    copies = copy.deepcopy(states)

    change = insert_layer(Structure(network, torch.randn(1, 4), optimizer=optimizer), "1")
    for name, parameter in network.named_parameters():
        if name in states:
            assert optimizer.state[parameter] is states[name]
            assert all(
                torch.equal(torch.as_tensor(v), torch.as_tensor(copies[name][k])) for k, v in states[name].items()
            )
        else:
            assert name in change.added
            assert parameter not in optimizer.state
    _train(network, optimizer, 10, seed=2)
    _train(oracle, reference, 10, seed=2)
    for ours, theirs in zip(network.parameters(), oracle.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=0)


def test_new_parameters_join_the_group_of_the_layer_before_them() -> None:
    network = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3))
    groups = [{"params": network[i].parameters(), "lr": lr} for i, lr in ((4, 0.3), (2, 0.2), (0, 0.1))]
    optimizer = torch.optim.SGD(groups, momentum=0.9)
    _train(network, optimizer, 2, seed=1)
    structure = Structure(network, torch.randn(1, 4), optimizer=optimizer)
    gone = list(network[2].parameters())

    def rate(name: str) -> float:
        (group,) = [g for g in optimizer.param_groups if any(p is network.get_parameter(name) for p in g["params"])]
        return float(group["lr"])

    for after, expected in (("1", 0.1), ("3", 0.2)):
        change = insert_layer(structure, after)
        assert [rate(name) for name in change.added] == [expected, expected]
    change = remove_layer(structure, "2")
    assert [rate(name) for name in change.added] == [0.2, 0.2]
    assert change.dropped == ("2.weight", "2.bias")
    assert change.added == ("2.0.weight", "2.0.bias")
    held = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    assert {id(p) for p in held} == {id(p) for p in network.parameters()}
    assert not any(parameter in optimizer.state for parameter in gone)


def test_new_parameters_join_the_group_of_weights_where_biases_have_another() -> None:
    network = nn.Sequential(nn.LayerNorm(4), nn.Sequential(nn.LayerNorm(4), nn.Linear(4, 3)), nn.Linear(3, 2))
    groups = [[p for p in network.parameters() if p.dim() == dim] for dim in (1, 2)]
    optimizer = torch.optim.AdamW([{"params": group} for group in groups])
    change = insert_layer(Structure(network, torch.randn(2, 4), optimizer=optimizer), "1")
    assert {id(network.get_parameter(name)) for name in change.added} <= {
        id(parameter) for parameter in optimizer.param_groups[1]["params"]
    }


def test_a_saved_state_fits_the_optimizer_of_a_rebuilt_network() -> None:
    def make() -> nn.Module:
        return nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4), nn.Linear(4, 3))

    network = make()
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.1)
    insert_layer(Structure(network, torch.randn(3, 4), optimizer=optimizer), "0")
    insert_layer(Structure(network, torch.randn(3, 4), optimizer=optimizer), "2", hidden=4)
    _train(network, optimizer, 3, seed=1)
    again = rebuild(make(), blueprint(network))
    again.load_state_dict(network.state_dict())
    other = torch.optim.AdamW(again.parameters(), lr=0.1)
    other.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    _train(network, optimizer, 3, seed=1)
    _train(again, other, 3, seed=1)
    assert list(network.state_dict()) == list(again.state_dict())
    torch.testing.assert_close(network.state_dict(), again.state_dict(), rtol=0, atol=0)


def test_names_say_where_everything_went() -> None:
    network = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
    structure = Structure(network, torch.randn(2, 4))
    anchors = {name: parameter.detach().clone() for name, parameter in network.named_parameters()}
    first = insert_layer(structure, "0")
    second = insert_layer(structure, "0")
    assert first.renamed == {"0.weight": "0.0.weight", "0.bias": "0.0.bias"}
    assert second.layer == "0.1"
    assert second.renamed["0.0.weight"] == "0.0.0.weight"
    assert second.renamed["0.1.weight"] == "0.0.1.weight"
    carried = second.carry(first.carry(anchors))
    old, new = ["0.0.0.weight", "0.0.0.bias", "2.weight", "2.bias"], ["0.0.1.weight", "0.0.1.bias"]
    assert list(carried) == [*old, *new, *second.added]
    assert all(carried[name].shape == network.get_parameter(name).shape for name in carried)
    back = remove_layer(structure, "0.0.1")  # the one inserted first
    assert back.dropped == ("0.0.1.weight", "0.0.1.bias")
    assert back.renamed == {"0.0.0.weight": "0.0.weight", "0.0.0.bias": "0.0.bias"}
    carried = remove_layer(structure, second.layer).carry(back.carry(carried))
    assert {name: id(tensor) for name, tensor in carried.items()} == {name: id(anchors[name]) for name in carried}


def test_an_optimizer_that_knows_names_learns_the_new_ones() -> None:
    network = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
    optimizer = torch.optim.SGD(network.named_parameters(), lr=0.1)
    structure = Structure(network, torch.randn(2, 4), optimizer=optimizer)
    insert_layer(structure, "0")
    insert_layer(structure, "0")
    (group,) = optimizer.param_groups
    by_name = dict(zip(group["param_names"], group["params"], strict=True))
    assert {name: id(parameter) for name, parameter in by_name.items()} == {
        name: id(parameter) for name, parameter in network.named_parameters()
    }


def test_a_tied_weight_stays_where_it_is_still_used() -> None:
    class Twins(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two, self.head = nn.Linear(3, 3), nn.Linear(3, 3), nn.Linear(3, 2)
            self.two.weight = self.one.weight

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.two(self.one(x)))

    network = Twins()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    change = remove_layer(Structure(network, torch.randn(2, 3), optimizer=optimizer), "one")
    assert change.renamed == {"one.weight": "two.weight"}
    assert change.dropped == ("one.bias",)
    assert any(parameter is network.two.weight for parameter in optimizer.param_groups[0]["params"])


def test_hooks_stay_with_their_module() -> None:
    network = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
    seen: list[tuple[nn.Module, torch.Size]] = []
    network[0].register_forward_hook(lambda module, _, output: seen.append((module, output.shape)))
    first = network[0]
    x = torch.randn(2, 4)
    insert_layer(Structure(network, x), "0", hidden=5)
    seen.clear()
    network(x)
    assert seen == [(first, (2, 3))]


def test_pruned_synapses_move_with_their_layer() -> None:
    network = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 3))
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)
    structure = Structure(network, torch.randn(2, 4), optimizer=optimizer)
    where = torch.rand(3, 4) < 0.5
    prune_synapses(structure, "0.weight", where)
    insert_layer(structure, "0")
    assert torch.equal(masks(network)["0.0.weight"], ~where)
    _train(network, optimizer, 5, seed=0)
    assert bool((network[0][0].weight[where] == 0).all())
    assert bool((network[0][0].weight[~where] != 0).all())
