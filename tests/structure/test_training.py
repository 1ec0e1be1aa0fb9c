"""Training goes on after a change as if the network had been built so: checked against networks made by hand."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.optim import SGD, Adagrad, Adam, AdamW, Optimizer, RMSprop

from lifelong.structure import (
    Structure,
    create_synapses,
    create_units,
    freeze_units,
    frozen_units,
    prune_synapses,
    reinitialise_units,
    remove_units,
    unfreeze_units,
)

WITHOUT_AGE: dict[str, Callable[[Any], Optimizer]] = {
    "sgd": lambda parameters: SGD(parameters, lr=0.1, momentum=0.9, weight_decay=0.01),
    "nesterov": lambda parameters: SGD(parameters, lr=0.1, momentum=0.9, nesterov=True),
    "rmsprop": lambda parameters: RMSprop(parameters, lr=0.01, momentum=0.5, centered=True),
    "adagrad": lambda parameters: Adagrad(parameters, lr=0.1, initial_accumulator_value=0.1, lr_decay=0.01),
}
EVERY = {
    **WITHOUT_AGE,
    "adam": lambda parameters: Adam(parameters, lr=0.01, weight_decay=0.01),
    "adamw": lambda parameters: AdamW(parameters, lr=0.01, weight_decay=0.1),
    "amsgrad": lambda parameters: AdamW(parameters, lr=0.01, amsgrad=True),
}
DTYPES = {"float32": torch.float32, "float64": torch.float64}

properties = settings(max_examples=6, deadline=None)


def make(widths: tuple[int, int], dtype: torch.dtype) -> nn.Sequential:
    """4 features, two hidden layers, 3 classes."""
    one, two = widths
    return nn.Sequential(nn.Linear(4, one), nn.ReLU(), nn.Linear(one, two), nn.Tanh(), nn.Linear(two, 3)).to(dtype)


def train(network: nn.Module, optimizer: Optimizer, steps: int, seed: int) -> None:
    """Some steps on random data."""
    generator = torch.Generator().manual_seed(seed)
    dtype = next(network.parameters()).dtype
    for _ in range(steps):
        x = torch.randn(8, 4, generator=generator).to(dtype)
        y = torch.randint(3, (8,), generator=generator)
        optimizer.zero_grad()
        cross_entropy(network(x), y).backward()
        optimizer.step()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", WITHOUT_AGE)
@properties
@given(data=st.data())
def test_ten_steps_equal_those_of_a_network_built_by_hand(kind: str, dtype: str, data: st.DataObject) -> None:
    torch.manual_seed(data.draw(st.integers(0, 99)))
    added, gone = data.draw(st.integers(1, 3)), sorted(data.draw(st.sets(st.integers(0, 4), min_size=1, max_size=3)))
    network = make((5, 6), DTYPES[dtype])
    optimizer = EVERY[kind](network.parameters())
    structure = Structure(network, torch.zeros(2, 4, dtype=DTYPES[dtype]), optimizer=optimizer)
    train(network, optimizer, 5, seed=1)
    before = {name: (p.detach().clone(), deepcopy(optimizer.state[p])) for name, p in network.named_parameters()}
    create_units(structure, "0", added)
    remove_units(structure, "0", gone)
    started = {name: parameter.detach().clone() for name, parameter in network.named_parameters()}

    kept = [unit for unit in range(5) if unit not in gone]
    oracle = make((len(kept) + added, 6), DTYPES[dtype])
    theirs = EVERY[kind](oracle.parameters())
    for name, parameter in oracle.named_parameters():
        old, state = before[name]
        rows = kept if name in ("0.weight", "0.bias") else slice(None)
        columns = kept if name == "2.weight" else slice(None)
        assert torch.equal(_cut(started[name], rows, columns, kept), _pick(old, rows, columns))
        parameter.data.copy_(started[name])
        theirs.state[parameter] = {
            key: _moved(value, old, parameter, rows, columns, kept, kind) for key, value in state.items()
        }

    train(network, optimizer, 10, seed=2)
    train(oracle, theirs, 10, seed=2)
    for (name, ours), expected in zip(network.named_parameters(), oracle.parameters(), strict=True):
        torch.testing.assert_close(ours, expected, rtol=0, atol=0, msg=name)


def _pick(old: Tensor, rows: Any, columns: Any) -> Tensor:
    return old[rows][:, columns] if old.dim() == 2 else old[rows]


def _cut(new: Tensor, rows: Any, columns: Any, kept: list[int]) -> Tensor:
    if rows is kept:
        return new[: len(kept)]
    return new[:, : len(kept)] if columns is kept else new


def _moved(value: Any, old: Tensor, new: Tensor, rows: Any, columns: Any, kept: list[int], kind: str) -> Any:
    """Return an entry of the optimizer's state in the new shape; Adagrad begins with 0.1, the others with 0."""
    if not isinstance(value, Tensor) or value.shape != old.shape:
        return deepcopy(value)
    moved = torch.full_like(new, 0.1 if kind == "adagrad" else 0.0).detach()
    _cut(moved, rows, columns, kept).copy_(_pick(value, rows, columns))
    return moved


@pytest.mark.parametrize("decoupled", [False, True])
def test_with_adam_every_weight_is_corrected_for_its_own_age(decoupled: bool) -> None:
    rate, decay, beta, gamma, epsilon = 0.01, 0.1, 0.9, 0.999, 1e-8
    network = make((5, 6), torch.float64)
    kind = AdamW if decoupled else Adam
    optimizer = kind(network.parameters(), lr=rate, weight_decay=decay)
    structure = Structure(network, torch.zeros(2, 4, dtype=torch.float64), optimizer=optimizer)
    train(network, optimizer, 50, seed=1)
    create_units(structure, "0", 2)
    reinitialise_units(structure, "2", [1, 3])

    oracle = deepcopy(network)
    moments = {}
    for name, parameter in oracle.named_parameters():
        state = optimizer.state[network.get_parameter(name)]
        age = torch.full(parameter.shape, 50.0, dtype=torch.float64)
        for reborn in {
            "0.weight": [(slice(5, 7),)], "0.bias": [(slice(5, 7),)],
            "2.weight": [(slice(None), slice(5, 7)), ([1, 3],)], "2.bias": [([1, 3],)],
            "4.weight": [(slice(None), [1, 3])], "4.bias": [],
        }[name]:  # fmt: skip
            age[reborn] = 0
            assert not state["exp_avg"][reborn].any()
            assert not state["exp_avg_sq"][reborn].any()
        moments[name] = [state["exp_avg"].clone(), state["exp_avg_sq"].clone(), age]

    generator = torch.Generator().manual_seed(2)
    for _ in range(10):
        x = torch.randn(8, 4, generator=generator).double()
        y = torch.randint(3, (8,), generator=generator)
        oracle.zero_grad()
        cross_entropy(oracle(x), y).backward()
        for name, parameter in oracle.named_parameters():
            mean, square, age = moments[name]
            gradient = parameter.grad if decoupled else parameter.grad + decay * parameter.data
            age += 1
            mean.mul_(beta).add_(gradient, alpha=1 - beta)
            square.mul_(gamma).add_(gradient**2, alpha=1 - gamma)
            if decoupled:
                parameter.data *= 1 - rate * decay
            parameter.data -= rate * (mean / (1 - beta**age)) / ((square / (1 - gamma**age)).sqrt() + epsilon)
    train(network, optimizer, 10, seed=2)
    for (name, ours), expected in zip(network.named_parameters(), oracle.parameters(), strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-9, atol=1e-10, msg=name)


@pytest.mark.parametrize("kind", EVERY)
@properties
@given(data=st.data())
def test_removal_of_what_was_created_gives_back_the_optimizers_state(kind: str, data: st.DataObject) -> None:
    network = make((5, 6), torch.float32)
    optimizer = EVERY[kind](network.parameters())
    structure = Structure(network, torch.zeros(2, 4), optimizer=optimizer)
    train(network, optimizer, 4, seed=1)
    weights, state = deepcopy(network.state_dict()), deepcopy(optimizer.state_dict())
    layer = data.draw(st.sampled_from(["0", "2"]))
    change = create_units(structure, layer, data.draw(st.integers(1, 4)))
    remove_units(structure, layer, change.units)
    assert optimizer.state_dict()["param_groups"] == state["param_groups"]
    for position, entries in state["state"].items():
        now = optimizer.state_dict()["state"][position]
        assert now.keys() == entries.keys()
        for key, value in entries.items():
            assert torch.equal(torch.as_tensor(now[key]), torch.as_tensor(value)), key
    assert all(torch.equal(value, weights[name]) for name, value in network.state_dict().items())


@pytest.mark.parametrize("kind", EVERY)
@properties
@given(data=st.data())
def test_frozen_units_and_pruned_synapses_stay_bit_for_bit(kind: str, data: st.DataObject) -> None:
    torch.manual_seed(data.draw(st.integers(0, 99)))
    network = nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.Linear(5, 6), nn.ReLU(), nn.Linear(6, 3))
    optimizer = EVERY[kind](network.parameters())
    structure = Structure(network, torch.zeros(2, 4), optimizer=optimizer)
    train(network, optimizer, 3, seed=1)
    held = sorted(data.draw(st.sets(st.integers(0, 4), min_size=1)))
    freeze_units(structure, "0", held)
    where = torch.rand(6, 5) < 0.5
    prune_synapses(structure, "3.weight", where)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    train(network, optimizer, 10, seed=2)
    after = network.state_dict()
    for name in ("0.weight", "0.bias", "1.weight", "1.bias", "1.running_mean", "1.running_var"):
        assert torch.equal(after[name][held], before[name][held]), name
        others = [unit for unit in range(5) if unit not in held]
        if others and name != "0.bias":  # which a batch normalisation takes out again
            assert not torch.equal(after[name][others], before[name][others]), name
    assert not after["3.weight"][where].any()
    assert not torch.equal(after["3.weight"], before["3.weight"])


def test_a_frozen_unit_does_not_hear_of_new_ones_until_it_is_unfrozen() -> None:
    network = make((5, 6), torch.float32)
    optimizer = EVERY["sgd"](network.parameters())
    structure = Structure(network, torch.zeros(2, 4), optimizer=optimizer)
    freeze_units(structure, "2", [1, 4])
    create_units(structure, "0", 2)
    train(network, optimizer, 5, seed=1)
    assert not network[2].weight[[1, 4], 5:].any()
    assert network[2].weight[[0, 2, 3, 5], 5:].all()
    assert frozen_units(structure, "2") == (1, 4)
    unfreeze_units(structure, "2", [4])
    train(network, optimizer, 5, seed=2)
    assert not network[2].weight[1, 5:].any()
    assert network[2].weight[4, 5:].all()


def test_a_removed_unit_takes_its_mask_along_and_a_created_one_is_not_pruned() -> None:
    network = make((5, 6), torch.float32)
    optimizer = EVERY["adam"](network.parameters())
    structure = Structure(network, torch.zeros(2, 4), optimizer=optimizer)
    where = torch.zeros(6, 5, dtype=torch.bool)
    where[:, 2], where[3, 0] = True, True
    prune_synapses(structure, "2.weight", where)
    remove_units(structure, "0", [2])
    create_units(structure, "0", 1)
    train(network, optimizer, 5, seed=1)
    assert (network[2].weight == 0).nonzero().tolist() == [[3, 0]]


def test_created_synapses_start_at_zero_and_learn() -> None:
    network = make((5, 6), torch.float32)
    optimizer = EVERY["adam"](network.parameters())
    structure = Structure(network, torch.zeros(2, 4), optimizer=optimizer)
    train(network, optimizer, 3, seed=1)
    where = torch.zeros(6, 5, dtype=torch.bool)
    where[2] = True
    prune_synapses(structure, "2.weight", where)
    train(network, optimizer, 3, seed=2)
    x = torch.randn(4, 4)
    said = network(x)
    change = create_synapses(structure, "2.weight", torch.eye(6, 5) > 0)
    assert torch.equal(network(x), said)
    assert change.reset["2.weight"].nonzero().tolist() == [[2, 2]]
    assert optimizer.state[network[2].weight]["exp_avg"][2, 2] == 0
    assert change.carry({"2.weight": torch.ones(6, 5)})["2.weight"].sum() == 29
    train(network, optimizer, 3, seed=3)
    assert network[2].weight[2, 2] != 0
    assert network[2].weight[2, [0, 1, 3, 4]].tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize("kind", EVERY)
def test_a_copy_of_network_and_optimizer_goes_on_in_the_same_way(kind: str) -> None:
    network = make((5, 6), torch.float32)
    optimizer = EVERY[kind](network.parameters())
    structure = Structure(network, torch.zeros(2, 4), optimizer=optimizer)
    train(network, optimizer, 3, seed=1)
    create_units(structure, "0", 2)
    freeze_units(structure, "0", [0])
    prune_synapses(structure, "2.weight", torch.eye(6, 7) > 0)
    twin = deepcopy(network)
    other = EVERY[kind](twin.parameters())
    other.load_state_dict(deepcopy(optimizer.state_dict()))
    Structure(twin, torch.zeros(2, 4), optimizer=other)
    train(network, optimizer, 5, seed=2)
    train(twin, other, 5, seed=2)
    for (name, ours), theirs in zip(network.named_parameters(), twin.parameters(), strict=True):
        assert torch.equal(ours, theirs), name


def test_groups_flags_types_and_gradients_are_carried() -> None:
    network = make((5, 6), torch.bfloat16)
    network[4].bias.requires_grad_(False)
    groups = [
        {"params": list(network[0].parameters()), "lr": 0.5},
        {"params": [network[2].weight, network[2].bias, network[4].weight]},
    ]
    optimizer = SGD(groups, lr=0.1, momentum=0.9)
    structure = Structure(network, torch.zeros(2, 4, dtype=torch.bfloat16), optimizer=optimizer)
    cross_entropy(network(torch.randn(8, 4).bfloat16()), torch.zeros(8, dtype=torch.long)).backward()
    gradient = network[2].weight.grad.clone()
    create_units(structure, "0", 2)
    remove_units(structure, "2", [0])
    assert torch.equal(network[2].weight.grad[:, :5], gradient[1:])
    assert not network[2].weight.grad[:, 5:].any()
    assert [id(p) for p in optimizer.param_groups[0]["params"]] == [id(p) for p in network[0].parameters()]
    assert [id(p) for p in optimizer.param_groups[1]["params"]] == [
        id(network[2].weight),
        id(network[2].bias),
        id(network[4].weight),
    ]
    assert optimizer.param_groups[0]["lr"] == 0.5
    assert {parameter.dtype for parameter in network.parameters()} == {torch.bfloat16}
    assert [parameter.requires_grad for parameter in network.parameters()] == [True] * 5 + [False]
    optimizer.step()
