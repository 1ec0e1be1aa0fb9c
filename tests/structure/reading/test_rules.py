"""Every operation that has a rule, between two layers: units are fixed, or removing one equals silencing it."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as f

from lifelong.structure import Role, Structure, create_units, remove_units
from lifelong.structure.holding.marks import tensor_of
from lifelong.structure.reading import rules

FIXED, FREE = "fixed", "free"
Operation = Callable[[Tensor], Tensor]


class Between(nn.Module):
    """A layer, an operation, and a layer that reads what comes out, over its last dimension."""

    def __init__(self, first: nn.Module, operation: Operation, x: Tensor) -> None:
        super().__init__()
        self.first, self.operation = first, operation
        self.last = nn.Linear(operation(first(x)).shape[-1], 2, dtype=x.dtype)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.operation(self.first(x)))


ROWS: dict[str, tuple[Operation, str]] = {
    "view": (lambda h: h.view(len(h), 1, -1).view(len(h), -1), FREE),
    "split in two": (lambda h: h.view(len(h), 2, 3).flatten(1), FIXED),
    "transpose": (lambda h: h.transpose(0, 1).t(), FREE),
    "permute": (lambda h: h[None].permute(2, 0, 1).permute(1, 2, 0), FREE),
    "expand": (lambda h: h[:, None].expand(-1, 3, -1), FREE),
    "squeeze": (lambda h: h.unsqueeze(1).squeeze(1), FREE),
    "select": (lambda h: h[None][0] * h[:, :1], FIXED),
    "slice of all": (lambda h: h[:, :], FREE),
    "slice": (lambda h: h[:, :4], FIXED),
    "chunk": (lambda h: h.chunk(2, 1)[0], FIXED),
    "split": (lambda h: h.split([2, 4], 1)[1], FIXED),
    "split of rows": (lambda h: torch.cat(h.split(2)), FREE),
    "unsafe split": (lambda h: torch.unsafe_split(h, 3, 1)[0], FIXED),
    "unbind": (lambda h: torch.stack(h[None].unbind())[0], FREE),
    "unbind of units": (lambda h: torch.stack(h.unbind(1), 1), FIXED),
    "flip": (lambda h: h.flip(1), FIXED),
    "flip of rows": (lambda h: h.flip(0), FREE),
    "roll": (lambda h: h.roll(1, 1), FIXED),
    "roll of all": (lambda h: h.roll(1), FIXED),
    "cumulated": (lambda h: h.cumsum(1), FIXED),
    "strided": (lambda h: h.clone().as_strided_(h.shape, h.stride()), FREE),
    "joined with itself": (lambda h: torch.cat([h, h.tanh()], 1), FREE),
    "joined with what is fixed": (lambda h: torch.cat([h.new_ones(len(h), 2), h], 1), FREE),
    "joined along rows": (lambda h: torch.cat([h, h.tanh()]), FREE),
    "stacked": (lambda h: torch.stack([h, h.tanh()], 1), FREE),
    "stacked on what is fixed": (lambda h: torch.stack([h, torch.ones_like(h).detach() * 1], 1), FREE),
    "picked rows": (lambda h: h[torch.tensor([0, 2])], FREE),
    "picked units": (lambda h: h[:, torch.tensor([0, 2])], FIXED),
    "masked rows": (lambda h: h[torch.tensor([True, False, True, True])], FREE),
    "written": (lambda h: h.new_zeros(4, 6).index_put((torch.arange(4),), h), FIXED),
    "written in place": (lambda h: h.new_empty(4, 6).fill_(0).index_put_((torch.arange(4),), h), FIXED),
    "repeated": (lambda h: h.repeat(1, 2), FREE),
    "padded": (lambda h: f.pad(h, (1, 1)), FIXED),
    "padded elsewhere": (lambda h: f.pad(h, (0, 0, 1, 0)), FREE),
    "mean": (lambda h: h.mean(1, keepdim=True), FIXED),
    "sum of rows": (lambda h: h.sum(0, keepdim=True), FREE),
    "largest": (lambda h: h.amax(1, keepdim=True), FIXED),
    "smallest": (lambda h: h[None].amin(0), FREE),
    "variance": (lambda h: h[:, None].expand(-1, 3, -1).var(1), FREE),
    "deviation": (lambda h: h.std(1, keepdim=True), FIXED),
    "product": (lambda h: h.prod(1, keepdim=True), FIXED),
    "softmax": (lambda h: h.softmax(1), FIXED),
    "softmax of rows": (lambda h: h.softmax(0), FREE),
    "log softmax": (lambda h: h.log_softmax(1), FIXED),
    "attention": (lambda h: f.scaled_dot_product_attention(h[None], h[None], h[None])[0], FIXED),
    "matrix product": (lambda h: torch.mm(h, h.new_full((6, 6), 0.5)), FIXED),
    "product of rows": (lambda h: torch.bmm(h[None].transpose(1, 2), h[None])[0], FIXED),
    "sum of products": (lambda h: torch.baddbmm(h[None], h.new_ones(1, 4, 4), h[None])[0], FREE),
    "clone": (lambda h: h.clone().detach() + h, FREE),
    "copy": (lambda h: torch.empty_like(h).copy_(h), FREE),
    "zeros": (lambda h: torch.zeros_like(h) + h, FREE),
    "ones": (lambda h: torch.ones_like(h) * h, FREE),
    "full": (lambda h: torch.full_like(h, 2) * h, FREE),
    "noise": (lambda h: h + 0 * torch.rand_like(h) + 0 * torch.randn_like(h), FREE),
    "drawn": (lambda h: h + 0 * torch.bernoulli(torch.zeros_like(h)), FREE),
    "drawn in place": (lambda h: h + 0 * torch.zeros_like(h).bernoulli_(), FREE),
    "dropout": (lambda h: torch.native_dropout(h, 0.5, train=False)[0], FREE),
    "filled": (lambda h: h + h.clone().fill_(1).zero_(), FREE),
    "masked": (lambda h: h.masked_fill(h < 0, 0) + h.clone().masked_fill_(h < 0, 0), FREE),
    "leaky": (lambda h: f.prelu(h, h.new_ones(1)), FREE),
    "converted": (lambda h: h.float().double(), FREE),
    "lifted": (lambda h: h + torch.ops.aten.lift_fresh(h), FREE),
    "alias": (lambda h: torch.ops.aten.alias(h), FREE),
    "sorted": (lambda h: h.sort(1).values, FIXED),
}  # fmt: skip

IMAGES: dict[str, tuple[int, Operation]] = {
    "max": (2, lambda h: f.max_pool2d(h, 2)),
    "average": (2, lambda h: f.avg_pool2d(h, 2)),
    "adaptive average": (2, lambda h: f.adaptive_avg_pool2d(h, 2)),
    "adaptive max": (2, lambda h: f.adaptive_max_pool2d(h, 2)),
    "nearest": (2, lambda h: f.interpolate(h, scale_factor=2)),
    "bilinear": (2, lambda h: f.interpolate(h, scale_factor=2, mode="bilinear")),
    "nearest of rows": (1, lambda h: f.interpolate(h, scale_factor=2)),
    "max of volumes": (3, lambda h: f.max_pool3d(h, 2)),
    "average of volumes": (3, lambda h: f.avg_pool3d(h, 2)),
    "adaptive average of volumes": (3, lambda h: f.adaptive_avg_pool3d(h, 2)),
    "adaptive max of volumes": (3, lambda h: f.adaptive_max_pool3d(h, 2)),
}


def assert_sound(network: nn.Module, x: Tensor, expected: str) -> None:
    """The first layer's units are fixed, or removal equals silence and creation preserves."""
    network.eval()
    structure = Structure(network, x)
    layer = structure.layers["first"]
    assert (FIXED if layer.fixed else FREE) == expected, layer.fixed
    if layer.fixed:
        return
    said = network(x)
    create_units(structure, "first", 2)
    torch.testing.assert_close(network(x), said)
    layer = structure.layer("first")
    silent = deepcopy(network)
    for slot in layer.slots_of(Role.FAN_OUT):
        tensor_of(silent, slot.tensor).data.index_fill_(slot.dim, slot.positions[[1, 4]].flatten(), 0)
    remove_units(structure, "first", [1, 4])
    torch.testing.assert_close(network(x), silent(x))


def rows(name: str) -> tuple[nn.Module, Tensor, str]:
    """A network over rows."""
    operation, expected = ROWS[name]
    x = torch.randn(4, 3, dtype=torch.float64)
    return Between(nn.Linear(3, 6, dtype=torch.float64), operation, x), x, expected


def images(name: str) -> tuple[nn.Module, Tensor, str]:
    """A network over images, rows of pixels or volumes, flattened at the end."""
    dims, operation = IMAGES[name]
    convolution = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[dims - 1](1, 6, 2, dtype=torch.float64)
    x = torch.randn(2, 1, *[5] * dims, dtype=torch.float64)
    return Between(convolution, lambda h: operation(h).flatten(1), x), x, FREE


@pytest.mark.parametrize("name", ROWS)
def test_operations_on_rows(name: str) -> None:
    assert_sound(*rows(name))


@pytest.mark.parametrize("name", IMAGES)
def test_operations_on_images(name: str) -> None:
    assert_sound(*images(name))


def test_every_rule_is_tested(monkeypatch: pytest.MonkeyPatch, zoo: dict[str, Any]) -> None:
    used: set[Any] = set()

    class Noting(dict[Any, Any]):
        def get(self, key: Any, default: Any = None) -> Any:
            used.add(key)
            return super().get(key, default)

    known = set(rules.RULES) | rules._SAME_SHAPE
    monkeypatch.setattr(rules, "RULES", Noting(rules.RULES))
    for name in ROWS:
        network, x, _ = rows(name)
        Structure(network, x)
    for name in IMAGES:
        network, x, _ = images(name)
        Structure(network, x)
    for animal in zoo.values():
        Structure(animal(), *animal.example())
    Structure(nn.Sequential(nn.Embedding(5, 4), nn.Linear(4, 2)), torch.tensor([1, 2]))
    assert known - used == set()
