"""Optimizer state against state copied by hand, entry by entry, and the steps that follow from it."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from copy import deepcopy
from itertools import product
from typing import Any

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn, optim
from torch.nn import Parameter

from lifelong.structure.errors import StructureError
from lifelong.structure.holding.change import NEW, Change
from lifelong.structure.holding.optimizers import (
    add_parameters,
    carry_gradient,
    carry_optimizer,
    check_optimizer,
    drop_parameters,
)

UNITS = 4
SHAPES = {"0.weight": (UNITS, 3), "0.bias": (UNITS,), "2.weight": (2, UNITS), "2.bias": (2,)}
ALONG = {"0.weight": 0, "0.bias": 0, "2.weight": 1}
"""The dimension of the hidden units in each tensor that has them."""

OPTIMIZERS = [
    (optim.SGD, {"lr": 0.1}),
    (optim.SGD, {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.1}),
    (optim.SGD, {"lr": 0.1, "momentum": 0.9, "nesterov": True}),
    (optim.RMSprop, {"lr": 0.01, "weight_decay": 0.1}),
    (optim.RMSprop, {"lr": 0.01, "momentum": 0.9, "centered": True}),
    (optim.Adagrad, {"lr": 0.1, "initial_accumulator_value": 0.5, "weight_decay": 0.1}),
    (optim.Adadelta, {"lr": 1.0}),
    (optim.Adamax, {"lr": 0.01}),
    (optim.Rprop, {"lr": 0.01}),
]
ADAMS = [
    (optim.Adam, {"lr": 0.01, "amsgrad": True}),
    (optim.AdamW, {"lr": 0.01}),
    (optim.NAdam, {"lr": 0.01}),
    (optim.RAdam, {"lr": 0.01}),
]

index_maps = st.lists(st.sampled_from([NEW, *range(UNITS)]), min_size=1, max_size=7)
foreach = st.booleans()


def network(dtype: torch.dtype = torch.float32) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, UNITS), nn.ReLU(), nn.Linear(UNITS, 2)).to(dtype)


def trained(
    train: Callable[..., None], kind: type[optim.Optimizer], **options: Any
) -> tuple[nn.Sequential, optim.Optimizer]:
    """A network with an optimizer that has made three steps."""
    net = network()
    optimizer = kind(net.parameters(), **options)
    train(list(net.parameters()), optimizer, 3, seed=1)
    return net, optimizer


def change_units(net: nn.Module, index: list[int]) -> tuple[Change, dict[str, tuple[Parameter, Parameter]]]:
    """Change the hidden units by hand; new weights are drawn."""
    change = Change("create units", "0", maps={name: {dim: torch.tensor(index)} for name, dim in ALONG.items()})
    replaced = {}
    for name, dim in ALONG.items():
        module, attribute = net.get_submodule(name.split(".")[0]), name.split(".")[1]
        old = getattr(module, attribute)
        new = torch.randn([len(index) if d == dim else size for d, size in enumerate(old.shape)]).to(old.dtype)
        copy_by_hand(old.detach(), new, {dim: index})
        setattr(module, attribute, Parameter(new))
        replaced[name] = (old, getattr(module, attribute))
    return change, replaced


def copy_by_hand(old: Tensor, new: Tensor, maps: dict[int, list[int]]) -> None:
    for place in product(*map(range, new.shape)):
        source = tuple(maps[dim][at] if dim in maps else at for dim, at in enumerate(place))
        if NEW not in source:
            new[place] = old[source]


def state_by_hand(optimizer: optim.Optimizer, old: Parameter, new: Parameter, index: list[int], dim: int) -> dict:
    """Return the oracle's state: each entry copied, or what a fresh parameter's first step would find."""
    carried = {}
    group = optimizer.param_groups[0]
    starts = {"sum": group.get("initial_accumulator_value"), "step_size": group["lr"]}
    for key, value in optimizer.state.get(old, {}).items():
        if torch.is_tensor(value) and value.shape == old.shape:
            carried[key] = torch.full_like(new, starts.get(key, 0.0))
            copy_by_hand(value, carried[key], {dim: index})
        else:
            carried[key] = deepcopy(value)
    return carried


def each_state(optimizer: optim.Optimizer) -> Iterator[tuple[int, str, Any]]:
    for number, entries in sorted(optimizer.state_dict()["state"].items()):
        for key, value in entries.items():
            yield number, key, value


def assert_same_state(one: optim.Optimizer, other: optim.Optimizer) -> None:
    found, expected = list(each_state(one)), list(each_state(other))
    assert [entry[:2] for entry in found] == [entry[:2] for entry in expected]
    for (number, key, value), (_, _, wanted) in zip(found, expected, strict=True):
        same = torch.equal(value, wanted) if torch.is_tensor(value) else value == wanted
        assert same, (number, key, value, wanted)


@pytest.mark.parametrize(("kind", "options"), OPTIMIZERS)
@settings(deadline=None, max_examples=12)
@given(
    index=index_maps,
    before=st.integers(0, 3),
    dtype=st.sampled_from([torch.float32, torch.float64]),
    foreach=foreach,
)
@example(index=[NEW, 2], before=2, dtype=torch.float32, foreach=False)
def test_ten_steps_after_a_change_equal_those_of_an_optimizer_made_by_hand(
    train, kind, options, index, before, dtype, foreach
):
    net = network(dtype)
    optimizer = kind(net.parameters(), foreach=foreach, **options)
    train(list(net.parameters()), optimizer, before, seed=1)
    change, replaced = change_units(net, index)
    oracle_net = deepcopy(net)
    oracle = kind(oracle_net.parameters(), foreach=foreach, **options)
    oracle.state.clear()
    for (name, new), mirror in zip(net.named_parameters(), oracle_net.parameters(), strict=True):
        if name in replaced:
            oracle.state[mirror] = state_by_hand(optimizer, replaced[name][0], new, index, ALONG[name])
        else:
            oracle.state[mirror] = deepcopy(optimizer.state[new])

    check_optimizer(optimizer)
    carry_optimizer(optimizer, change, replaced)
    train(list(net.parameters()), optimizer, 10, seed=2)
    train(list(oracle_net.parameters()), oracle, 10, seed=2)
    for parameter, mirror in zip(net.parameters(), oracle_net.parameters(), strict=True):
        assert torch.equal(parameter, mirror)
    assert_same_state(optimizer, oracle)


@pytest.mark.parametrize(("kind", "options"), OPTIMIZERS + ADAMS)
def test_state_is_bit_for_bit_as_before_once_created_units_are_removed(train, kind, options):
    net, optimizer = trained(train, kind, **options)
    before = deepcopy(optimizer.state_dict())
    for index in ([NEW, 0, 1, NEW, 2, 3], [1, 2, 4, 5]):
        carry_optimizer(optimizer, *change_units(net, index))
    after = optimizer.state_dict()
    assert after["param_groups"] == before["param_groups"]
    for number, entries in before["state"].items():
        assert list(after["state"][number]) == list(entries)
        for key, value in entries.items():
            assert torch.equal(torch.as_tensor(after["state"][number][key]), torch.as_tensor(value)), key


@pytest.mark.parametrize(("kind", "options"), OPTIMIZERS + ADAMS)
def test_a_changed_optimizer_can_be_saved_and_loaded(train, kind, options):
    net, optimizer = trained(train, kind, **options)
    carry_optimizer(optimizer, *change_units(net, [0, NEW, 2]))
    file = io.BytesIO()
    torch.save(optimizer.state_dict(), file)
    file.seek(0)
    again = kind(net.parameters(), **options)
    again.load_state_dict(torch.load(file, weights_only=True))
    moments = [key for _, key, value in each_state(again) if torch.is_tensor(value) and value.dim()]
    assert moments or "momentum" not in options
    assert [entry[:2] for entry in each_state(again)] == [entry[:2] for entry in each_state(optimizer)]


def test_values_that_started_afresh_in_place_start_with_fresh_state(train):
    net, optimizer = trained(train, optim.SGD, lr=0.1, momentum=0.9)
    weight = net[0].weight
    momentum = optimizer.state[weight]["momentum_buffer"].clone()
    change = Change("reinitialise units", "0", (1,), maps={"0.weight": {0: torch.tensor([0, NEW, 2, 3])}})
    carry_optimizer(optimizer, change, {"0.weight": (weight, weight)})
    momentum[1] = 0
    assert torch.equal(optimizer.state[weight]["momentum_buffer"], momentum)
    assert optimizer.param_groups[0]["params"][0] is weight


def test_single_synapses_that_started_afresh_start_with_fresh_state(train):
    net, optimizer = trained(train, optim.Adagrad, lr=0.1, initial_accumulator_value=0.25)
    weight = net[0].weight
    expected = optimizer.state[weight]["sum"].clone()
    expected[1, 2] = 0.25
    reset = torch.zeros(UNITS, 3, dtype=torch.bool)
    reset[1, 2] = True
    carry_optimizer(
        optimizer, Change("create synapses", "0", reset={"0.weight": reset}), {"0.weight": (weight, weight)}
    )
    assert torch.equal(optimizer.state[weight]["sum"], expected)


def test_state_follows_a_parameter_whose_name_changed(train):
    net = network()
    optimizer = optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    train(list(net.parameters()), optimizer, 1, seed=1)
    old, new = net[0].bias, Parameter(torch.zeros(2))
    expected = optimizer.state[old]["momentum_buffer"][[3, 0]]
    renamed = {"0.bias": "1.bias", "1.bias": "2.bias"}
    change = Change("remove units", "0", maps={"1.bias": {0: torch.tensor([3, 0])}}, renamed=renamed)
    carry_optimizer(optimizer, change, {"1.bias": (old, new)})
    assert torch.equal(optimizer.state[new]["momentum_buffer"], expected)
    assert old not in optimizer.state


def test_groups_keep_their_order_and_options_and_parameters_that_are_not_trained_are_left_out():
    net = network()
    groups = [{"params": [net[2].weight, net[0].bias], "lr": 0.5}, {"params": [net[2].bias], "weight_decay": 0.2}]
    optimizer = optim.SGD(groups, lr=0.1)
    first = optimizer.param_groups[0]
    carry_optimizer(optimizer, *change_units(net, [NEW, 1]))
    assert optimizer.param_groups[0] is first
    assert [id(p) for p in first["params"]] == [id(net[2].weight), id(net[0].bias)]
    assert [id(p) for p in optimizer.param_groups[1]["params"]] == [id(net[2].bias)]
    assert [group["lr"] for group in optimizer.param_groups] == [0.5, 0.1]


def test_gradients_follow_the_change():
    net = network()
    net[0].weight.grad = torch.arange(12.0).view(UNITS, 3)
    change, replaced = change_units(net, [2, NEW])
    for name, (old, new) in replaced.items():
        carry_gradient(change, name, old, new)
    assert net[0].weight.grad.tolist() == [[6.0, 7.0, 8.0], [0.0, 0.0, 0.0]]
    assert net[0].bias.grad is None


def test_the_parameters_of_a_new_layer_join_their_neighbours_group(train):
    net, extra = network(), [Parameter(torch.zeros(2)), Parameter(torch.ones(3))]
    optimizer = optim.Adam([{"params": [net[0].weight]}, {"params": [net[2].weight], "lr": 0.5}])
    add_parameters(optimizer, extra[:1], net[2].weight)
    add_parameters(optimizer, extra[1:], net[2].bias)
    expected = [[net[0].weight, extra[1]], [net[2].weight, extra[0]]]
    assert [list(map(id, g["params"])) for g in optimizer.param_groups] == [list(map(id, g)) for g in expected]
    train(extra, optimizer, 1, seed=1)
    assert all(float(optimizer.state[parameter]["step"]) == 1 for parameter in extra)


def test_the_parameters_of_a_removed_layer_leave_with_their_state(train):
    net = network()
    optimizer = optim.Adam([{"params": net[0].parameters()}, {"params": net[2].parameters()}])
    train(list(net.parameters()), optimizer, 1, seed=1)
    drop_parameters(optimizer, [*net[2].parameters(), net[0].bias, Parameter(torch.zeros(1))])
    assert [list(map(id, group["params"])) for group in optimizer.param_groups] == [[id(net[0].weight)], []]
    assert list(optimizer.state) == [net[0].weight]


def test_the_names_of_named_parameters_stay_beside_them():
    net, extra = network(), Parameter(torch.zeros(2))
    optimizer = optim.SGD(net.named_parameters(), lr=0.1)
    carry_optimizer(optimizer, Change("insert layer", "0", renamed={"0.bias": "0.0.bias"}), {})
    add_parameters(optimizer, [extra], net[0].weight, ["0.1.bias"])
    drop_parameters(optimizer, [net[2].weight])
    assert optimizer.param_groups[0]["param_names"] == ["0.weight", "0.0.bias", "2.bias", "0.1.bias"]


def adafactor_state(net: nn.Module) -> optim.Optimizer:
    optimizer = optim.Adafactor(net.parameters())
    net(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    return optimizer


def preconditioners(net: nn.Module) -> optim.Optimizer:
    optimizer = optim.SGD(net.parameters(), lr=0.1)
    optimizer.state[net[0].weight] = {"factors": [torch.eye(UNITS), torch.eye(3)]}
    return optimizer


def sparse_gradient(net: nn.Module) -> optim.Optimizer:
    net[0].weight.grad = torch.ones(UNITS, 3).to_sparse()
    return optim.SGD(net.parameters(), lr=0.1)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (adafactor_state, "Adafactor keeps 'row_var' of shape"),
        (preconditioners, r"SGD keeps 'factors' of shape \(4, 4\) for a parameter of shape \(4, 3\)"),
        (sparse_gradient, "SGD has a sparse gradient"),
        (lambda net: optim.LBFGS(net.parameters()), "LBFGS sees all parameters as one vector"),
    ],
)
def test_what_cannot_be_carried_is_refused(make, message):
    optimizer = make(network())
    before = deepcopy(optimizer.state_dict())
    with pytest.raises(StructureError, match=message):
        check_optimizer(optimizer)
    assert str(optimizer.state_dict()) == str(before)


@pytest.mark.parametrize(("kind", "options"), OPTIMIZERS + ADAMS)
def test_what_can_be_carried_is_not_refused(train, kind, options):
    net = network()
    optimizer = kind([*net.parameters(), Parameter(torch.zeros(())), Parameter(torch.zeros(1))], **options)
    check_optimizer(optimizer)
    train(optimizer.param_groups[0]["params"], optimizer, 2, seed=1)
    carry_optimizer(optimizer, *change_units(net, [0, NEW]))
    check_optimizer(optimizer)
