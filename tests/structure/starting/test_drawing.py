"""How modules draw their parameters, against torch's own constructors."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from lifelong.structure.starting.drawing import draw

DRAWN: dict[str, Callable[[], nn.Module]] = {
    "linear": lambda: nn.Linear(50, 400),
    "conv": lambda: nn.Conv2d(20, 100, 3),
    "grouped": lambda: nn.Conv2d(20, 100, 3, groups=5),
    "transposed": lambda: nn.ConvTranspose2d(20, 60, 3, groups=2),
    "batch norm": lambda: nn.BatchNorm1d(40),
    "layer norm": lambda: nn.LayerNorm(40),
    "group norm": lambda: nn.GroupNorm(4, 40),
    "embedding": lambda: nn.Embedding(100, 40),
    "prelu": lambda: nn.PReLU(40, init=0.1),
    "attention": lambda: nn.MultiheadAttention(60, 4),
}


@pytest.mark.parametrize("kind", DRAWN)
def test_values_are_drawn_as_the_constructor_does(kind: str) -> None:
    """Same range and same moments as many fresh modules have, within four standard errors."""
    generator = torch.Generator().manual_seed(0)
    torch.manual_seed(0)
    modules = [DRAWN[kind]() for _ in range(40)]
    tensors = [(name, tensor) for name, tensor in _tensors(modules[0]).items() if tensor.is_floating_point()]
    assert tensors
    for name, tensor in tensors:
        owner, _, attribute = name.rpartition(".")
        module = modules[0].get_submodule(owner)
        fresh = torch.stack([_tensors(other)[name].detach() for other in modules]).flatten()
        own = [draw(module, attribute, tensor.shape, tensor.shape, generator) for _ in modules]
        drawn = torch.stack([values for values in own if values is not None]).flatten()
        assert len(drawn) == len(fresh)
        if float(fresh.std()) == 0.0:
            assert torch.equal(drawn, fresh)
            continue
        assert abs(float(drawn.mean() - fresh.mean())) < 6 * float(fresh.std()) / math.sqrt(len(fresh))
        assert float(drawn.std()) == pytest.approx(float(fresh.std()), rel=0.03)
        if kind != "embedding":  # whose distribution has no bounds
            assert float(drawn.abs().max()) == pytest.approx(float(fresh.abs().max()), rel=0.01)


def _tensors(module: nn.Module) -> dict[str, Tensor]:
    return {**dict(module.named_parameters()), **dict(module.named_buffers())}


def test_new_rows_are_scaled_by_the_whole_weights_fan_in() -> None:
    layer = nn.Linear(4, 4)
    new = draw(layer, "weight", (1000, 3), (1004, 100), torch.Generator().manual_seed(0))
    assert new is not None
    assert new.shape == (1000, 3)
    assert 0.09 < float(new.abs().max()) <= 0.1


def test_the_padding_of_an_embedding_stays_zero() -> None:
    embedding = nn.Embedding(5, 3, padding_idx=2)
    columns = draw(embedding, "weight", (5, 2), (5, 5))
    assert columns is not None
    assert columns.eq(0).all(dim=1).tolist() == [False, False, True, False, False]


def test_the_generator_alone_decides() -> None:
    layer = nn.Linear(4, 4).double()
    state = torch.get_rng_state()
    one, two = (draw(layer, "weight", (2, 4), (6, 4), torch.Generator().manual_seed(3)) for _ in range(2))
    assert one is not None
    assert two is not None
    assert one.dtype is torch.float64
    assert torch.equal(one, two)
    assert torch.equal(torch.get_rng_state(), state)


def test_unknown_tensors_are_not_drawn() -> None:
    layer = nn.Linear(4, 4)
    layer.extra = nn.Parameter(torch.zeros(4))
    assert draw(layer, "extra", (2,), (6,)) is None
    assert draw(layer, "missing", (2,), (6,)) is None
    assert draw(nn.LSTM(2, 2), "weight_ih_l0", (2, 2), (8, 2)) is None
