"""Changes of layers that are refused or undone leave the network and its optimizer as they were."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.functional import linear

from lifelong.structure.errors import StructureError
from lifelong.structure.operators.freezing import freeze_units
from lifelong.structure.operators.layers import insert_layer, remove_layer
from lifelong.structure.operators.replacements import Inserted
from lifelong.structure.structure import Structure


def _snapshot(network: nn.Module, optimizer: torch.optim.Optimizer) -> tuple[Any, ...]:
    """Return what must not change: the identities of objects, and copies of values."""
    return (
        [(name, id(module), type(module), module.training) for name, module in network.named_modules()],
        [(name, id(tensor), tensor.clone()) for name, tensor in network.state_dict(keep_vars=True).items()],
        [[id(parameter) for parameter in group["params"]] for group in optimizer.param_groups],
        [(id(parameter), copy.deepcopy(state)) for parameter, state in optimizer.state.items()],
    )


def _assert_same(one: Any, other: Any) -> None:
    if isinstance(one, Tensor):
        assert torch.equal(one, other)
    elif isinstance(one, dict):
        _assert_same(list(one.items()), list(other.items()))
    elif isinstance(one, list | tuple):
        assert len(one) == len(other)
        for mine, theirs in zip(one, other, strict=True):
            _assert_same(mine, theirs)
    else:
        assert one == other


@settings(deadline=None, max_examples=15)
@given(data=st.data())
def test_any_insertions_preserve_the_outputs_and_are_undone_in_any_order(data: st.DataObject) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Sequential(nn.Conv2d(3, 4, 2), nn.GELU()), nn.Flatten(),
        nn.Linear(16, 5), nn.ReLU6(), nn.Linear(5, 3),
    ).eval()  # fmt: skip
    x = torch.randn(3, 2, 5, 5)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    network(x).sum().backward()
    optimizer.step()
    structure, expected, before = Structure(network, x, optimizer=optimizer), network(x), _snapshot(network, optimizer)
    for _ in range(data.draw(st.integers(1, 5))):
        *places, _last = structure.flows
        places = [place for place in places if place and not place.startswith("7")]
        hidden = data.draw(st.sampled_from([None, 2]))
        insert_layer(structure, data.draw(st.sampled_from(places)), hidden=hidden)
        assert torch.equal(network(x), expected)
    while any(isinstance(module, Inserted) for module in network.modules()):
        inserted = [name for name, module in network.named_modules() if isinstance(module, Inserted)]
        remove_layer(structure, f"{data.draw(st.sampled_from(inserted))}.1")
        assert torch.equal(network(x), expected)
    _assert_same(_snapshot(network, optimizer), before)


class Odd(nn.Module):
    """Everything that a container may do with its modules besides calling them."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(4, 4)
        self.read = nn.Linear(4, 4)
        self.typed = nn.Linear(4, 4)
        self.listed = nn.Linear(4, 4)
        self.kept = [self.listed, nn.Tanh()]
        self.add_module("quiet", self.kept[1])
        self.twice = nn.Linear(4, 4)
        self.pair = nn.Bilinear(4, 4, 4)
        self.skipped = nn.ReLU()
        self.attention = nn.MultiheadAttention(4, 2)
        self.flatten = nn.Flatten()
        self.plain, self.rectify, self.halve = nn.PReLU(), nn.ReLU(), nn.Conv1d(4, 2, 1)
        self.tail = nn.ModuleDict({"a": nn.Linear(4, 3), "b": nn.Sequential(nn.Linear(4, 3), nn.ReLU())})

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        self.read(x)
        x = linear(x, self.read.weight)
        for module in self.children():
            if type(module) is nn.Linear and module is self.typed:
                x = module(x)
        x = self.kept[1](self.kept[0](x))
        x = self.twice(self.twice(x))
        x = self.pair(x, x)
        x = self.attention(x, x, x)[0]
        x = self.plain(x[:, :, None].expand(-1, -1, 2))[:, :, 0]
        x = self.flatten(self.rectify(x)[:, :, None])
        x = x + self.halve(x[:, :, None].expand(-1, -1, 4)).mean(1)
        return self.tail["a"](x)


@pytest.mark.parametrize(
    ("operator", "name", "options", "told"),
    [
        ("both", "", {}, "the whole network"),
        ("both", "frist", {}, r"no module 'frist'; the nearest are 'first'"),
        ("both", "skipped", {}, "'skipped' is called 0 times"),
        ("both", "tail", {}, "'tail' is called 0 times"),
        ("both", "twice", {}, "'twice' is called 2 times"),
        ("both", "tail.a", {}, "'tail.a' returns the network's outputs"),
        ("both", "tail.b", {}, "'tail.b' returns the network's outputs"),
        ("both", "read", {}, "does not run with another module as 'read': .* has no attribute 'weight'"),
        ("both", "typed", {}, "'typed'"),
        ("both", "listed", {}, "'listed'"),
        ("remove", "quiet", {}, "the network does not call 'quiet'"),
        ("insert", "attention", {}, "'attention' does not return a tensor"),
        ("remove", "attention", {}, "'attention' does not read one tensor"),
        ("remove", "pair", {}, "'pair' does not read one tensor"),
        ("remove", "flatten", {}, r"'flatten' makes \(2, 4\) of \(2, 4, 1\)"),
        ("insert", "plain", {}, "'plain' returns shape .* say dim=1 or dim=-1"),
        ("insert", "plain", {"dim": 3}, "along dimension 3"),
        ("insert", "first", {"hidden": 0}, "at least 1, not 0"),
        ("insert", "first", {"hidden": True}, "at least 1, not True"),
        ("insert", "first", {"activation": "ReLU"}, "'first' does not end in an idempotent ReLU"),
        ("insert", "rectify", {"activation": "Tanh"}, "'rectify' does not end in an idempotent Tanh"),
        ("remove", "halve", {"dim": -1}, r"'halve' makes \(2, 2, 4\) of \(2, 4, 4\)"),
        ("insert", "first", {"activation": "relu"}, "no activation 'relu'; the nearest are "),
        ("insert", "first", {"hidden": 2, "activation": "Linear"}, "no activation 'Linear'"),
    ],
)
def test_refused_changes_leave_everything_as_it_was(
    operator: str, name: str, options: dict[str, Any], told: str
) -> None:
    network = Odd()
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    x = torch.randn(2, 4)
    network(x).sum().backward()
    optimizer.step()
    structure = Structure(network, x, optimizer=optimizer)
    before, expected = _snapshot(network, optimizer), network(x)
    operators: list[Any] = {"both": [insert_layer, remove_layer], "insert": [insert_layer], "remove": [remove_layer]}[
        operator
    ]
    for change in operators:
        with pytest.raises(StructureError, match=told):
            change(structure, name, **options)
        _assert_same(_snapshot(network, optimizer), before)
        assert torch.equal(network(x), expected)
    insert_layer(structure, "first")  # the structure still knows the network


@pytest.mark.parametrize("wraps", [1, 2])
def test_the_modules_around_a_layer_do_not_follow_it(wraps: int) -> None:
    class Scaled(nn.Module):
        def __init__(self, inner: nn.Module) -> None:
            super().__init__()
            self.inner, self.scale = inner, nn.Parameter(torch.ones(2))

        def forward(self, x: Tensor) -> Tensor:
            return self.scale * self.inner(x)

    network: nn.Module = nn.Linear(2, 2)
    for _ in range(wraps):
        network = Scaled(network)
    with pytest.raises(StructureError, match="returns the network's outputs"):
        insert_layer(Structure(network, torch.randn(3, 2)), ".".join(["inner"] * wraps))


def test_a_module_of_two_names_is_refused() -> None:
    class Alias(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one = self.other = nn.Linear(4, 4)
            self.head = nn.Linear(4, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.other(x))

    network, x = Alias(), torch.randn(2, 4)
    structure, expected = Structure(network, x), network(x)
    for change in (insert_layer, remove_layer):
        with pytest.raises(StructureError, match="'one' and 'other' are one module"):
            change(structure, "one")
    assert network.one is network.other
    assert torch.equal(network(x), expected)


def test_frozen_units_are_not_removed() -> None:
    network = nn.Sequential(nn.Sequential(nn.Linear(4, 3), nn.ReLU()), nn.Linear(3, 2))
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    structure = Structure(network, torch.randn(2, 4), optimizer=optimizer)
    freeze_units(structure, "0.0", [1])
    before = _snapshot(network, optimizer)
    for name in ("0", "0.0"):
        with pytest.raises(StructureError, match="holds frozen units"):
            remove_layer(structure, name)
        _assert_same(_snapshot(network, optimizer), before)
    insert_layer(structure, "0.0")
    with pytest.raises(StructureError, match="holds frozen units"):
        remove_layer(structure, "0.0")


def test_what_has_been_removed_is_not_removed_again(zoo: Any) -> None:
    structure = Structure(zoo["mlp"](), *zoo["mlp"].example())
    remove_layer(structure, "2")
    with pytest.raises(StructureError, match="'2' has been removed already"):
        remove_layer(structure, "2")


def test_an_optimizer_that_cannot_follow_is_refused_before_anything_is_changed() -> None:
    network = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
    x = torch.randn(2, 4)
    optimizer = torch.optim.LBFGS(network.parameters())

    def loss() -> Tensor:
        optimizer.zero_grad()
        value = network(x).square().sum()
        value.backward()
        return value

    optimizer.step(loss)
    structure = Structure(network, x, optimizer=optimizer)
    before = _snapshot(network, optimizer)
    with pytest.raises(StructureError):
        insert_layer(structure, "0")
    _assert_same(_snapshot(network, optimizer), before)
