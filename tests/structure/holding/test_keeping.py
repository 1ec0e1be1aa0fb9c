"""What holds through training: pruned synapses, frozen entries, frozen statistics."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from copy import deepcopy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn, optim
from torch.nn import Parameter

from lifelong.structure.holding import keeping
from lifelong.structure.holding.births import BIRTHS
from lifelong.structure.holding.change import NEW, Change
from lifelong.structure.holding.keeping import Keeper
from lifelong.structure.holding.marks import set_alive, set_frozen
from lifelong.structure.holding.optimizers import carry_optimizer, per_weight
from lifelong.structure.holding.statistics import hold_statistics

OPTIMIZERS = [
    (optim.SGD, {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.1}),
    (optim.SGD, {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.1}),
    (optim.Adam, {"lr": 0.1, "weight_decay": 0.1}),
    (optim.Adam, {"lr": 0.1, "amsgrad": True}),
    (optim.AdamW, {"lr": 0.1, "weight_decay": 0.1}),
    (optim.RMSprop, {"lr": 0.1, "momentum": 0.9, "centered": True}),
    (optim.Adagrad, {"lr": 0.1, "initial_accumulator_value": 0.5, "weight_decay": 0.1}),
    (optim.Rprop, {"lr": 0.01}),
]
DTYPES = [torch.float32, torch.float64, torch.bfloat16]

beginnings = st.fixed_dictionaries(
    {
        "choice": st.sampled_from(OPTIMIZERS),
        "before": st.integers(0, 3),
        "dtype": st.sampled_from(DTYPES),
        "foreach": st.booleans(),
    }
)


def network(dtype: torch.dtype = torch.float32) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)).to(dtype)


def begun(
    train: Callable[..., None],
    choice: tuple[type[optim.Optimizer], dict],
    before: int,
    dtype: torch.dtype,
    foreach: bool,
) -> tuple[nn.Sequential, optim.Optimizer, Keeper]:
    """A network with an optimizer that a keeper watches, some steps into its training."""
    kind, options = choice
    net = network(dtype)
    optimizer = kind(net.parameters(), foreach=foreach, **options)
    keeper = Keeper(net, optimizer)
    train(list(net.parameters()), optimizer, before, seed=1)
    return net, optimizer, keeper


def prune(net: nn.Module, name: str, where: Tensor) -> None:
    net.get_parameter(name).data[where] = 0
    set_alive(net, name, ~where)


def rows(count: int, *frozen: int) -> Tensor:
    mark = torch.zeros(count, dtype=torch.bool)
    mark[list(frozen)] = True
    return mark


@settings(deadline=None, max_examples=40)
@given(beginning=beginnings, bits=st.lists(st.booleans(), min_size=12, max_size=12).filter(any))
def test_pruned_synapses_stay_exactly_zero_and_the_others_learn_as_ever(train, beginning, bits):
    net, optimizer, keeper = begun(train, **beginning)
    free_net, free = deepcopy((net, optimizer))
    where = torch.tensor(bits).view(4, 3)
    prune(net, "0.weight", where)
    keeper.refresh()
    for step in range(5):
        train(list(net.parameters()), optimizer, 1, seed=step)
        train(list(free_net.parameters()), free, 1, seed=step)
        pruned = net[0].weight.detach()[where]
        assert not pruned.any()
        assert not pruned.signbit().any()
        assert torch.equal(net[0].weight[~where], free_net[0].weight[~where])
    assert torch.equal(net[2].weight, free_net[2].weight)


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_whatever_a_pruned_synapse_became_is_zero_after_the_step(memory_format):
    net = nn.Sequential(nn.Conv2d(130, 3, 2).to(memory_format=memory_format), nn.Conv2d(3, 130, 2))
    optimizer = optim.SGD(net.parameters(), lr=1.0)
    keeper = Keeper(net, optimizer)
    for name in ("0.weight", "1.weight"):
        where = torch.rand(net.get_parameter(name).shape) < 0.5
        prune(net, name, where)
        keeper.refresh()
        weight = net.get_parameter(name)
        weight.grad = torch.where(where, float("nan"), torch.ones(()))
        expected = weight.detach().clone()
        optimizer.step()
        assert torch.equal(weight, torch.where(where, 0, expected - 1))
        weight.grad = None


@settings(deadline=None, max_examples=40)
@given(beginning=beginnings, units=st.sets(st.integers(0, 3), min_size=1))
def test_frozen_rows_and_their_state_stay_bit_for_bit(train, beginning, units):
    net, optimizer, keeper = begun(train, **beginning)
    mark = rows(4, *units)
    for name, shape in (("0.weight", (4, 1)), ("0.bias", (4,))):
        set_frozen(net, name, mark.view(shape))
    keeper.refresh()
    old, old_state = deepcopy(dict(net.named_parameters())), deepcopy(optimizer.state_dict()["state"])
    train(list(net.parameters()), optimizer, 5, seed=2)
    for number, (name, parameter) in enumerate(net.named_parameters()):
        same = (parameter == old[name]).flatten(1).all(1) if parameter.dim() > 1 else parameter == old[name]
        assert same.tolist() == (mark.tolist() if name.startswith("0") else [False, False])
        state = optimizer.state[parameter]
        for key, value in per_weight(parameter, state):
            if name.startswith("0") and number in old_state:
                assert torch.equal(value[mark], old_state[number][key][mark]), key
            elif name.startswith("0"):
                start = {"sum": 0.5, "step_size": 0.01}.get(key, 0)
                assert torch.equal(value[mark], torch.full_like(value[mark], start)), key


@pytest.mark.parametrize(("kind", "options"), [each for each in OPTIMIZERS if "nesterov" not in each[1]])
@pytest.mark.parametrize("before", [0, 3])
def test_unfrozen_rows_go_on_as_if_no_step_had_been_made(kind, options, before):
    """The oracle holds frozen and other rows in two tensors, and gives the frozen ones no gradient meanwhile."""
    torch.manual_seed(0)
    net = nn.Linear(3, 4, bias=False).double()
    parts = [Parameter(net.weight.detach()[:2].clone()), Parameter(net.weight.detach()[2:].clone())]
    optimizer, oracle = kind(net.parameters(), **options), kind(parts, **options)
    keeper = Keeper(net, optimizer)
    for phase, steps in enumerate((before, 40, 10)):
        set_frozen(net, "weight", rows(4, 0, 1).view(4, 1) if phase == 1 else None)
        keeper.refresh()
        generator = torch.Generator().manual_seed(phase)
        for _ in range(steps):
            gradient = torch.randn(4, 3, generator=generator, dtype=torch.float64)
            net.weight.grad, parts[0].grad, parts[1].grad = gradient, gradient[:2].clone(), gradient[2:].clone()
            if phase == 1:
                parts[0].grad = None
            optimizer.step()
            oracle.step()
    torch.testing.assert_close(net.weight.detach(), torch.cat(parts).detach(), rtol=0, atol=1e-9)


def test_columns_and_single_units_can_be_frozen(train):
    net = nn.Sequential(nn.ConvTranspose1d(3, 4, 2), nn.Linear(5, 1), nn.ConvTranspose1d(3, 1, 2))
    optimizer = optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    Keeper(net, optimizer)
    set_frozen(net, "0.weight", rows(4, 1).view(4, 1))
    set_frozen(net, "1.weight", rows(1, 0).view(1, 1))
    set_frozen(net, "2.weight", rows(1, 0).view(1, 1))
    old = deepcopy(dict(net.named_parameters()))
    train(list(net.parameters()), optimizer, 3, seed=1)
    assert (net[0].weight == old["0.weight"]).all(2).all(0).tolist() == [False, True, False, False]
    assert torch.equal(net[1].weight, old["1.weight"])
    assert torch.equal(net[2].weight, old["2.weight"])
    assert not torch.equal(net[1].bias, old["1.bias"])


def test_pruned_comes_before_frozen_and_frozen_before_young(train):
    net = network()
    optimizer = optim.Adam(net.parameters(), lr=0.1)
    keeper = Keeper(net, optimizer)
    train(list(net.parameters()), optimizer, 20, seed=1)
    weight = net[0].weight
    maps = {0: torch.tensor([0, 1, NEW, NEW]), 1: torch.tensor([0, NEW, 2])}
    change = Change("reinitialise units", "0", maps={"0.weight": maps})
    carry_optimizer(optimizer, change, {"0.weight": (weight, weight)})
    keeper.refresh()
    train([weight], optimizer, 3, seed=3)
    where = torch.zeros(4, 3, dtype=torch.bool)
    where[1:, 1] = True
    prune(net, "0.weight", where)
    set_frozen(net, "0.weight", rows(4, 0, 2).view(4, 1))
    keeper.refresh()
    old = weight.detach().clone()
    train([weight], optimizer, 3, seed=2)
    assert BIRTHS in optimizer.state[weight]
    assert torch.equal(weight[[0, 2]], old[[0, 2]])
    assert not weight[1:, 1].any()
    assert not (weight == old)[[1, 3]][:, [0, 2]].any()


def test_parameters_that_are_not_trained_or_only_later_need_no_care(train):
    net = network()
    optimizer = optim.SGD(net[0].parameters(), lr=0.1)
    Keeper(net, optimizer)
    where = torch.ones(2, 4, dtype=torch.bool)
    prune(net, "2.weight", where)
    set_frozen(net, "2.bias", rows(2, 0))
    net[2].weight.data.fill_(1)
    train(list(net.parameters()), optimizer, 1, seed=1)
    assert net[2].weight.all()
    optimizer.add_param_group({"params": [net[2].weight]})
    train(list(net.parameters()), optimizer, 1, seed=1)
    assert not net[2].weight.any()


def test_a_keeper_looks_only_when_something_may_have_changed(train, monkeypatch):
    looks = []
    monkeypatch.setattr(keeping, "_all_held", lambda network, _: looks.append(network) or [])
    net, other = network(), network()
    optimizer = optim.SGD([*net.parameters(), *other.parameters()], lr=0.1)
    keeper, _ = Keeper(net, optimizer), Keeper(other, optimizer)
    train(list(net.parameters()), optimizer, 3, seed=1)
    assert looks == [net, other]
    keeper.refresh()
    train(list(net.parameters()), optimizer, 3, seed=1)
    assert looks == [net, other] * 2
    optimizer.load_state_dict(optimizer.state_dict())
    train(list(net.parameters()), optimizer, 1, seed=1)
    assert looks == [net, other] * 3


def test_a_second_keeper_takes_the_firsts_place_and_learns_of_its_refreshes(train):
    net = network()
    optimizer = optim.SGD(net.parameters(), lr=0.1)
    first = Keeper(net, optimizer)
    second = Keeper(net, optimizer)
    assert len(optimizer._optimizer_step_pre_hooks) == len(optimizer._optimizer_step_post_hooks) == 1
    assert len(optimizer._optimizer_load_state_dict_post_hooks) == 1
    train(list(net.parameters()), optimizer, 1, seed=1)
    prune(net, "0.weight", torch.ones(4, 3, dtype=torch.bool))
    first.refresh()
    train(list(net.parameters()), optimizer, 1, seed=1)
    assert not net[0].weight.any()
    second.release()
    train(list(net.parameters()), optimizer, 1, seed=1)
    assert net[0].weight.all()


def test_two_keepers_of_one_parameter_give_what_one_gives(train):
    """A network and a part of it, each with a keeper."""
    results = []
    for keepers in (1, 2):
        net = network()
        optimizer = optim.Adam(net.parameters(), lr=0.1)
        for part in (net, net[0])[:keepers]:
            Keeper(part, optimizer)
        train(list(net.parameters()), optimizer, 5, seed=1)
        weight = net[0].weight
        carry_optimizer(
            optimizer,
            Change("reinitialise units", "0", maps={"0.weight": {0: torch.tensor([0, 1, NEW, 3])}}),
            {"0.weight": (weight, weight)},
        )
        Keeper(nn.Linear(1, 1), optimizer).refresh()
        train(list(net.parameters()), optimizer, 5, seed=3)
        prune(net, "0.weight", torch.eye(4, 3, dtype=torch.bool))
        set_frozen(net, "0.weight", rows(4, 2, 3).view(4, 1))
        Keeper(nn.Linear(1, 1), optimizer).refresh()
        frozen = weight.detach()[2:].clone()
        train(list(net.parameters()), optimizer, 5, seed=2)
        assert torch.equal(weight[2:][frozen != 0], frozen[frozen != 0])
        state = optimizer.state[weight]
        results.append((weight.detach(), state["exp_avg"], state[BIRTHS]["step"]))
    assert all(torch.equal(one, two) for one, two in zip(*results, strict=True))


def test_a_step_that_failed_leaves_nothing_behind(train):
    net = network()
    optimizer = optim.SGD(net.parameters(), lr=0.1)
    keeper = Keeper(net, optimizer)
    set_frozen(net, "0.weight", rows(4, 0, 1, 2, 3).view(4, 1))
    with pytest.raises(ZeroDivisionError):
        optimizer.step(lambda: 1 / 0)
    set_frozen(net, "0.weight", None)
    keeper.refresh()
    before = net[0].weight.detach().clone()
    train(list(net.parameters()), optimizer, 1, seed=1)
    assert not (net[0].weight == before).any()


def test_a_copy_of_network_and_optimizer_is_held_by_a_keeper_of_its_own(train):
    net = network()
    optimizer = optim.AdamW(net.parameters(), lr=0.1)
    Keeper(net, optimizer)
    prune(net, "0.weight", torch.eye(4, 3, dtype=torch.bool))
    set_frozen(net, "2.weight", rows(2, 0).view(2, 1))
    train(list(net.parameters()), optimizer, 2, seed=1)
    other_net, other = pickle.loads(pickle.dumps((net, optimizer)))
    Keeper(other_net, other)
    train(list(net.parameters()), optimizer, 2, seed=2)
    train(list(other_net.parameters()), other, 2, seed=2)
    for parameter, mirror in zip(net.parameters(), other_net.parameters(), strict=True):
        assert torch.equal(parameter, mirror)


def test_frozen_statistics_stay_while_the_others_follow_the_data():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
    free = deepcopy(net)
    mark = rows(4, 1, 3)
    for name in ("running_mean", "running_var"):
        set_frozen(net, f"1.{name}", mark)
    for module in net:
        hold_statistics(module)
        hold_statistics(module)
    assert [len(module._forward_hooks) for module in net] == [0, 1, 0]
    before = deepcopy(net[1].state_dict())
    for held in (net, deepcopy(net), pickle.loads(pickle.dumps(net))):
        mirror = deepcopy(free)
        for step in range(3):
            x = torch.randn(8, 3, generator=torch.Generator().manual_seed(step)) + 5
            mirrored = mirror(x)
            outputs = held(x)
            assert torch.equal(outputs, mirrored)
            outputs.sum().backward()
            held.eval()(x)
            held.train()
        for name in ("running_mean", "running_var"):
            statistics = getattr(held[1], name)
            assert torch.equal(statistics[mark], before[name][mark])
            assert torch.equal(statistics[~mark], getattr(mirror[1], name)[~mark])
        assert not [name for name in vars(held[1]) if "before" in name]


def test_statistics_that_are_no_longer_frozen_follow_the_data():
    norm = nn.BatchNorm1d(2)
    set_frozen(norm, "running_mean", rows(2, 0))
    hold_statistics(norm)
    norm(torch.full((4, 2), 3.0))
    assert norm.running_mean.tolist() == pytest.approx([0, 0.3])
    set_frozen(norm, "running_mean", None)
    norm(torch.full((4, 2), 3.0))
    assert norm.running_mean.tolist() == pytest.approx([0.3, 0.57])


def test_in_evaluation_nothing_is_copied():
    seen = []

    class Norm(nn.BatchNorm1d):
        def forward(self, x: Tensor) -> Tensor:
            seen.append([name for name in vars(self) if "before" in name])
            return super().forward(x)

    norm = Norm(2)
    set_frozen(norm, "running_mean", rows(2, 0))
    hold_statistics(norm)
    norm(torch.ones(3, 2))
    norm.eval()(torch.ones(3, 2))
    assert [len(names) for names in seen] == [1, 0]
