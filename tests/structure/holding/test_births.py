"""Adam's steps after changes against a plain Adam with a step count for every single weight."""

from __future__ import annotations

import io
from copy import deepcopy
from itertools import product

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn, optim
from torch.nn import Parameter

from lifelong.structure.holding import keeping
from lifelong.structure.holding.births import BIRTHS, births
from lifelong.structure.holding.change import NEW, Change
from lifelong.structure.holding.keeping import Keeper
from lifelong.structure.holding.optimizers import carry_optimizer, check_optimizer

BETAS = (0.9, 0.999)


class PlainAdam:
    """Kingma and Ba 2015, algorithm 1, in double precision, with a step count for each weight."""

    def __init__(self, weights: Tensor, lr: float, weight_decay: float, amsgrad: bool, decoupled: bool) -> None:
        self.weights = weights.double().clone()
        self.mean, self.square, self.largest, self.steps = (torch.zeros_like(self.weights) for _ in range(4))
        self.lr, self.weight_decay, self.amsgrad, self.decoupled = lr, weight_decay, amsgrad, decoupled

    def step(self, gradient: Tensor) -> None:
        if self.decoupled:
            self.weights = self.weights - self.lr * self.weight_decay * self.weights
        else:
            gradient = gradient + self.weight_decay * self.weights
        self.steps = self.steps + 1
        self.mean = BETAS[0] * self.mean + (1 - BETAS[0]) * gradient
        self.square = BETAS[1] * self.square + (1 - BETAS[1]) * gradient**2
        self.largest = torch.maximum(self.largest, self.square)
        mean = self.mean / (1 - BETAS[0] ** self.steps)
        square = (self.largest if self.amsgrad else self.square) / (1 - BETAS[1] ** self.steps)
        self.weights = self.weights - self.lr * mean / (square.sqrt() + 1e-8)

    def change(self, maps: dict[int, list[int]], weights: Tensor) -> None:
        """Survivors take everything along, the others start with these weights."""
        old = dict(vars(self))
        self.weights = weights.double().clone()
        for name in ("mean", "square", "largest", "steps"):
            setattr(self, name, torch.zeros_like(self.weights))
        for place in product(*map(range, weights.shape)):
            source = tuple(maps[dim][at] if dim in maps else at for dim, at in enumerate(place))
            if NEW not in source:
                for name in ("weights", "mean", "square", "largest", "steps"):
                    getattr(self, name)[place] = old[name][source]


def gradient_at(weights: Tensor, generator: torch.Generator) -> Tensor:
    slope, shift = torch.randn(2, *weights.shape, generator=generator, dtype=torch.float64)
    return slope.abs() * weights.detach().double() + shift


def one_weight(shape: tuple[int, ...], dtype: torch.dtype = torch.float32) -> nn.Module:
    net = nn.Module()
    net.weight = Parameter(torch.randn(shape).to(dtype))
    return net


def train(net: nn.Module, optimizer: optim.Optimizer, steps: int, seed: int, mirror: PlainAdam | None = None) -> None:
    """Each with the gradients at its own weights."""
    generators = [torch.Generator().manual_seed(seed) for _ in range(2)]
    for _ in range(steps):
        net.weight.grad = gradient_at(net.weight, generators[0]).to(net.weight.dtype)
        optimizer.step()
        if mirror is not None:
            mirror.step(gradient_at(mirror.weights, generators[1]))


def change(net: nn.Module, optimizer: optim.Optimizer, keeper: Keeper, maps: dict[int, list[int]]) -> None:
    old = net.weight
    shape = [len(maps[dim]) if dim in maps else size for dim, size in enumerate(old.shape)]
    new = torch.randn(shape, dtype=torch.float64).to(old.dtype)
    for place in product(*map(range, shape)):
        source = tuple(maps[dim][at] if dim in maps else at for dim, at in enumerate(place))
        if NEW not in source:
            new[place] = old.detach()[source]
    net.weight = Parameter(new)
    check_optimizer(optimizer)
    moved = Change("create units", "", maps={"weight": {dim: torch.tensor(index) for dim, index in maps.items()}})
    carry_optimizer(optimizer, moved, {"weight": (old, net.weight)})
    keeper.refresh()


def index_maps(size: int) -> st.SearchStrategy[list[int]]:
    return st.lists(st.sampled_from([NEW, *range(size)]), min_size=1, max_size=6)


@st.composite
def histories(draw: st.DrawFn) -> list[tuple[int, dict[int, list[int]]]]:
    """Steps and changes of a weight of shape (4, 3, 2), whose last dimension stays."""
    sizes, history = [4, 3], []
    for _ in range(draw(st.integers(1, 3))):
        dims = draw(st.sets(st.integers(0, 1), min_size=1))
        maps = {dim: draw(index_maps(sizes[dim])) for dim in sorted(dims)}
        sizes = [len(maps.get(dim, range(sizes[dim]))) for dim in range(2)]
        history.append((draw(st.integers(0, 12)), maps))
    return history


@settings(deadline=None, max_examples=80)
@given(
    history=histories(),
    kind=st.sampled_from([optim.Adam, optim.AdamW]),
    weight_decay=st.sampled_from([0.0, 0.1]),
    amsgrad=st.booleans(),
    implementation=st.sampled_from(["foreach", "single", "fused"]),
    dtype=st.sampled_from([torch.float32, torch.float64]),
)
def test_steps_after_changes_equal_those_of_adam_with_a_count_for_each_weight(
    history, kind, weight_decay, amsgrad, implementation, dtype
):
    torch.manual_seed(0)
    net = one_weight((4, 3, 2), dtype)
    which = {"fused": True} if implementation == "fused" else {"foreach": implementation == "foreach"}
    optimizer = kind(net.parameters(), lr=0.01, betas=BETAS, weight_decay=weight_decay, amsgrad=amsgrad, **which)
    keeper = Keeper(net, optimizer)
    mirror = PlainAdam(net.weight.detach(), 0.01, weight_decay, amsgrad, decoupled=kind is optim.AdamW)
    for seed, (steps, maps) in enumerate(history):
        train(net, optimizer, steps, seed, mirror)
        change(net, optimizer, keeper, maps)
        mirror.change(maps, net.weight.detach())
    train(net, optimizer, 10, 99, mirror)
    close = {"rtol": 0, "atol": 1e-11 if dtype is torch.float64 else 3e-5}
    torch.testing.assert_close(net.weight.detach().double(), mirror.weights, **close)


def test_low_precision_follows_as_closely_as_its_weights_are_spaced():
    torch.manual_seed(0)
    net = one_weight((4, 3), torch.bfloat16)
    optimizer = optim.Adam(net.parameters(), lr=0.01)
    keeper = Keeper(net, optimizer)
    mirror = PlainAdam(net.weight.detach(), 0.01, 0.0, amsgrad=False, decoupled=False)
    train(net, optimizer, 5, 1, mirror)
    change(net, optimizer, keeper, {0: [0, NEW, NEW]})
    before = net.weight.detach()[1:].clone()
    mirror.change({0: [0, NEW, NEW]}, net.weight.detach())
    train(net, optimizer, 1, 2, mirror)
    moved = (net.weight.detach()[1:] - before).abs().double()
    assert float((moved - 0.01).abs().max()) < 0.006, "0.0316 without correction"


def test_a_new_rows_first_update_is_as_large_as_any_first_update():
    net = one_weight((2, 3))
    optimizer = optim.Adam(net.parameters(), lr=0.01)
    keeper = Keeper(net, optimizer)
    for _ in range(300):
        net.weight.grad = torch.full((2, 3), 0.5)
        optimizer.step()
    change(net, optimizer, keeper, {0: [0, 1, NEW]})
    for _ in range(5):
        before = net.weight.detach().clone()
        net.weight.grad = torch.full((3, 3), 0.5)
        optimizer.step()
        torch.testing.assert_close(before - net.weight.detach(), torch.full((3, 3), 0.01), rtol=1e-4, atol=0)


def test_a_tensor_without_a_gradient_stays_as_it_is():
    net = one_weight((2, 3))
    optimizer = optim.AdamW(net.parameters(), lr=0.01)
    keeper = Keeper(net, optimizer)
    train(net, optimizer, 3, 1)
    change(net, optimizer, keeper, {1: [0, NEW, 1]})
    before = net.weight.detach().clone()
    net.weight.grad = None
    optimizer.step()
    assert torch.equal(net.weight, before)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("fused", [False, True])
def test_births_survive_saving_and_loading_in_any_dtype(dtype, fused):
    net = one_weight((2, 3), dtype)
    optimizer = optim.Adam(net.parameters(), lr=1e-4, fused=fused)
    keeper = Keeper(net, optimizer)
    train(net, optimizer, 1, 1)
    optimizer.state[net.weight]["step"] += 4998  # 4999 is not a number of bfloat16 or float16
    change(net, optimizer, keeper, {0: [NEW, 0], 1: [0, 1, NEW, 2]})
    train(net, optimizer, 1, 2)
    other_net = deepcopy(net)
    other = optim.Adam(other_net.parameters(), lr=1e-4, fused=fused)
    Keeper(other_net, other)
    train(other_net, other, 1, 3)  # so that the keeper has looked, and found nothing
    other_net.load_state_dict(net.state_dict())
    file = io.BytesIO()
    torch.save(optimizer.state_dict(), file)
    file.seek(0)
    other.load_state_dict(torch.load(file, weights_only=True))
    found = births(other_net.weight, other.state[other_net.weight])
    assert [vector.tolist() for vector in found] == [[4999, 0], [0, 0, 4999, 0]]
    train(net, optimizer, 3, 4)
    train(other_net, other, 3, 4)
    assert torch.equal(net.weight, other_net.weight)


def test_a_copy_of_network_and_optimizer_goes_on_in_the_same_way():
    net = one_weight((2, 3))
    optimizer = optim.Adam(net.parameters(), lr=0.01)
    keeper = Keeper(net, optimizer)
    train(net, optimizer, 20, 1)
    change(net, optimizer, keeper, {0: [1, NEW]})
    other_net, other = deepcopy((net, optimizer))
    Keeper(other_net, other)
    train(net, optimizer, 3, 2)
    train(other_net, other, 3, 2)
    assert torch.equal(net.weight, other_net.weight)


def test_what_was_born_long_ago_is_no_longer_counted(monkeypatch):
    monkeypatch.setattr(keeping, "LOOK_AGAIN", 3)
    net = one_weight((2, 3))
    optimizer = optim.Adam(net.parameters(), lr=0.01)
    keeper = Keeper(net, optimizer)
    train(net, optimizer, 2, 1)
    change(net, optimizer, keeper, {0: [0, NEW]})
    state = optimizer.state[net.weight]
    state["step"] += 15_000  # 0.999 ** 15000 = 3e-7
    train(net, optimizer, 4, 2)
    assert BIRTHS in state
    state["step"] += 1_500  # 0.999 ** 16500 = 7e-8
    train(net, optimizer, 4, 3)
    assert BIRTHS not in state


def test_nothing_is_noted_before_the_first_step_nor_where_there_is_no_common_count():
    for optimizer_of in (optim.Adam, lambda parameters: optim.SGD(parameters, lr=0.1, momentum=0.9)):
        net = one_weight((2, 3))
        optimizer = optimizer_of(net.parameters())
        keeper = Keeper(net, optimizer)
        change(net, optimizer, keeper, {0: [0, NEW]})
        train(net, optimizer, 2, 1)
        if isinstance(optimizer, optim.SGD):
            change(net, optimizer, keeper, {0: [0, NEW]})
        assert BIRTHS not in optimizer.state[net.weight]
