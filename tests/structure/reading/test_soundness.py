"""Networks that could be mistaken: what looks free but is not, and what looks fixed but is free."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from lifelong.structure import Structure, count, create_units
from lifelong.structure.reading.attention import free_heads


class Calling(nn.Module):
    """Calls a function with itself, so that a network fits into a line."""

    def __init__(self, function: Any, **members: Any) -> None:
        super().__init__()
        self.function = function
        for name, member in members.items():
            setattr(self, name, member)

    def forward(self, x: Tensor) -> Any:
        return self.function(self, x)


ROWS, IMAGES = torch.zeros(4, 6), torch.zeros(2, 3, 6, 6)


@pytest.mark.parametrize(
    ("function", "inputs", "reason"),
    [
        (lambda net, x: net.last(torch.roll(net.first(x), 1)), ROWS, "they are shifted"),
        (lambda net, x: net.last(torch.stack([x[:, :5], net.first(x)]).sum(0)), ROWS, "joined with a tensor that can"),
        (lambda net, x: net.last(torch.stack([net.first(x), x[:, :5]]).sum(0)), ROWS, "joined with a tensor that can"),
        (lambda net, x: functional.linear(net.first(x), net.last.weight + 1), ROWS, "by weights that are computed"),
        (lambda net, x: functional.linear(net.first(x), net.last.weight.exp()), ROWS, "by weights that are computed"),
        (lambda net, x: functional.linear(net.first(x), net.last.weight + net.more), ROWS, "weights that are computed"),
        (lambda net, x: functional.linear(net.first(x), net.last.weight * (net.more + 1)), ROWS, "that are computed"),
    ],
)  # fmt: skip
def test_what_depends_on_the_units_by_other_ways_than_weights_is_fixed(function: Any, inputs: Any, reason: str) -> None:
    network = Calling(
        function, first=nn.Linear(6, 5), last=nn.Linear(5, 3, bias=False), more=nn.Parameter(torch.randn(3, 5))
    )
    if "more" not in function.__code__.co_names:
        del network.more
    assert reason in str(Structure(network, inputs).layers["first"].fixed)


def test_weights_that_are_masked_are_read_as_weights_are() -> None:
    network = Calling(
        lambda net, x: functional.linear(net.first(x), net.weight * net.mask),
        first=nn.Linear(6, 5), weight=nn.Parameter(torch.randn(3, 5)), mask=nn.Parameter(torch.ones(3, 5)),
    )  # fmt: skip
    x = torch.randn(4, 6)
    before = network(x)
    create_units(Structure(network, x), "first")
    torch.testing.assert_close(network(x), before)


def test_groups_that_only_the_code_knows_cannot_change() -> None:
    network = Calling(
        lambda net, x: net.last(functional.group_norm(net.first(x), 2, net.weight).mean((2, 3))),
        first=nn.Conv2d(3, 8, 3), weight=nn.Parameter(torch.ones(8)), last=nn.Linear(8, 3),
    )  # fmt: skip
    assert "a number of groups that no module states" in str(Structure(network, IMAGES).layers["first"].fixed)


@pytest.mark.parametrize("average", [True, False])
@pytest.mark.parametrize("used", ["returned", "read", "not"])
@pytest.mark.parametrize("freed", [True, False])
def test_heads_are_fixed_where_the_attentions_weights_are_used(average: bool, used: str, freed: bool) -> None:
    def function(net: Any, x: Tensor) -> Any:
        out, weights = net.attention(x, x, x, average_attn_weights=average)
        if used == "returned":
            return net.last(out), weights
        return net.last(out) + weights.mean() if used == "read" else net.last(out)

    network = Calling(function, attention=nn.MultiheadAttention(8, 4, batch_first=True), last=nn.Linear(8, 3))
    if freed:
        free_heads(network.attention)
    reason = Structure(network, torch.zeros(2, 3, 8)).layers["attention"].fixed
    assert reason is None if used == "not" else "the attention weights that 'attention' returns are used" in str(reason)


class Recurrent(nn.Module):
    """Keeps its state from call to call."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(6, 5), nn.Linear(5, 3)
        self.state: Tensor | None = None
        self.seen: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        self.state = self.first(x) if self.state is None else self.first(x) + self.state
        self.seen.append(self.state)
        return self.last(self.state)


def test_what_modules_keep_of_a_pass_is_not_left_behind() -> None:
    network = Recurrent()
    create_units(Structure(network, ROWS), "first")
    count(network, ROWS)
    assert network.state is None
    assert network.seen == []


@pytest.mark.parametrize(
    ("between", "name"),
    [
        ([nn.Conv2d(8, 2, 3, groups=2), nn.Conv2d(2, 8, 1)], "1"),
        ([nn.GroupNorm(2, 8), nn.Conv2d(8, 8, 3, groups=4)], "0"),
    ],
)
def test_units_that_reach_over_several_groups_are_fixed(between: list[nn.Module], name: str) -> None:
    network = nn.Sequential(nn.Conv2d(3, 8, 3), *between, nn.Flatten(), nn.LazyLinear(3))
    network(IMAGES)
    assert "taken in groups that new ones would shift" in str(Structure(network, IMAGES).layers[name].fixed)
