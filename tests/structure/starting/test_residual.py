"""Cascade correlation: each new unit fits what those before left of the error, and the loss falls."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from itertools import pairwise
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, mse_loss, multi_margin_loss, unfold

from lifelong.structure import Fresh, Growth, Role, Structure, StructureError, create_units, reinitialise_units
from lifelong.structure.starting.residual import ResidualFit


def test_the_loss_falls_at_once(setting: Callable[..., Any], tried: tuple[str, str]) -> None:
    name, layer = tried
    place = setting(name)
    before = float(mse_loss(place.outputs(), place.targets))
    pool = ResidualFit(place.loss, steps=5, generator=torch.Generator().manual_seed(0))
    create_units(place.structure(), layer, 2, pool)
    assert float(mse_loss(place.outputs(), place.targets)) < 0.999 * before


@settings.get_profile("quick")
@given(count=st.integers(1, 3), seed=st.integers(0, 100))
def test_the_loss_is_never_higher(setting: Callable[..., Any], tried: tuple[str, str], count: int, seed: int) -> None:
    name, layer = tried
    place = setting(name)
    before = float(mse_loss(place.outputs(), place.targets))
    pool = ResidualFit(place.loss, candidates=2, steps=1, generator=torch.Generator().manual_seed(seed))
    create_units(place.structure(), layer, count, pool)
    assert float(mse_loss(place.outputs(), place.targets)) <= before * (1 + 1e-5)


@pytest.mark.parametrize("loss", [cross_entropy, multi_margin_loss])
def test_the_loss_never_rises(loss: Callable[[Tensor, Tensor], Tensor]) -> None:
    network = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 3))
    inputs, classes = torch.randn(30, 6), torch.randint(3, (30,))
    structure, losses = Structure(network, inputs), []
    for _ in range(5):
        losses.append(float(loss(network(inputs), classes).detach()))
        create_units(structure, "0", 1, ResidualFit(lambda: loss(network(inputs), classes), steps=5))
    assert all(after <= before + 1e-6 for before, after in pairwise(losses))
    assert losses[-1] < 0.9 * losses[0]


@pytest.mark.parametrize("case", ["linear", "convolution", "flattened"])
def test_the_fan_out_is_the_least_squares_fit_of_the_error(squared_error: Callable[..., Any], case: str) -> None:
    """Check squared errors at a linear output against the normal equations of the grown network."""
    network, batch = {
        "linear": (nn.Sequential(nn.Linear(6, 4), nn.Tanh(), nn.Linear(4, 3)), torch.randn(40, 6)),
        "convolution": (
            nn.Sequential(nn.Conv1d(2, 4, 3), nn.Tanh(), nn.Conv1d(4, 3, 3, padding=1)),
            torch.randn(20, 2, 9),
        ),
        "flattened": (
            nn.Sequential(nn.Conv1d(2, 4, 3), nn.Tanh(), nn.Flatten(), nn.Linear(28, 3)),
            torch.randn(40, 2, 9),
        ),
    }[case]
    place = squared_error(network, (batch,), torch.zeros(()))
    place.targets = torch.randn_like(place.outputs())
    error = place.targets - place.outputs()
    create_units(place.structure(), "0", 1, ResidualFit(place.loss))
    seen = network[:2](batch).detach()[:, 4:]
    if case == "convolution":
        seen = unfold(seen[:, :, None], (1, 3), padding=(0, 1)).transpose(1, 2)
        error = error.transpose(1, 2)
    design = seen.reshape(-1, seen.shape[-1] if case == "convolution" else seen[0].numel()).double()
    error = error.reshape(-1, 3).double()
    best = torch.linalg.lstsq(design, error).solution
    weight = network[-1].weight.detach()
    new = weight[:, 21 + 7 :] if case == "flattened" else weight[:, 4:]
    torch.testing.assert_close(new.flatten(1).T.double(), best, rtol=2e-2, atol=2e-3)
    fitted = float((error - design @ best).square().mean())
    assert float(place.loss().detach()) == pytest.approx(fitted, rel=1e-4)


def test_the_ascent_raises_the_covariance_with_the_error(squared_error: Callable[..., Any]) -> None:
    network = nn.Sequential(nn.Linear(8, 4), nn.Tanh(), nn.Linear(4, 2))
    place = squared_error(network, (torch.randn(60, 8),), torch.randn(60, 2))
    error = place.targets - place.outputs()
    centred = error - error.mean(0)

    def covariance(steps: int) -> float:
        other = squared_error(deepcopy(network), place.inputs, place.targets)
        pool = ResidualFit(other.loss, candidates=4, steps=steps, generator=torch.Generator().manual_seed(0))
        create_units(other.structure(), "0", 1, pool)
        seen = other.network[:2](*place.inputs).detach()[:, 4]
        return float((centred.T @ (seen - seen.mean())).abs().sum())

    drawn, trained = covariance(0), covariance(30)
    fresh = Fresh(generator=torch.Generator().manual_seed(0))
    structure = place.structure()
    layer = structure.layer("0")
    sizes = {"0.weight": (5, 8), "0.bias": (5,), "2.weight": (2, 5)}
    values = fresh.start(Growth(structure, layer, 4, sizes).without(Role.FAN_OUT)).values
    weight, bias = (
        next(value for slot, value in values.items() if slot.tensor == name) for name in ("0.weight", "0.bias")
    )
    pool = torch.tanh(place.inputs[0] @ weight.T + bias)
    assert drawn == pytest.approx(float((centred.T @ (pool - pool.mean(0))).abs().sum(0).max()), rel=1e-4)
    assert trained > 1.3 * drawn


def test_the_ascent_keeps_the_norm(squared_error: Callable[..., Any]) -> None:
    norms = []
    for steps in (0, 9):
        torch.manual_seed(0)
        network = nn.Sequential(nn.Linear(8, 4), nn.Tanh(), nn.Linear(4, 2))
        place = squared_error(network, (torch.randn(60, 8),), torch.randn(60, 2))
        create_units(place.structure(), "0", 1, ResidualFit(place.loss, candidates=1, steps=steps))
        norms.append(torch.cat([network[0].weight, network[0].bias[:, None]], 1).detach().norm(dim=1))
    torch.testing.assert_close(norms[0], norms[1])


def test_each_unit_fits_what_those_before_left(squared_error: Callable[..., Any]) -> None:
    """Units created in one call are those created one by one: the residual is what the grown network leaves."""
    network = nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 2))
    together = squared_error(network, (torch.randn(40, 6),), torch.randn(40, 2))
    apart = squared_error(deepcopy(network), together.inputs, together.targets)
    drawn = torch.Generator().manual_seed(0)
    create_units(together.structure(), "0", 3, ResidualFit(together.loss, candidates=1, steps=10, generator=drawn))
    drawn.manual_seed(0)
    for _ in range(3):
        create_units(apart.structure(), "0", 1, ResidualFit(apart.loss, candidates=1, steps=10, generator=drawn))
    for one, other in zip(together.network.parameters(), apart.network.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)


def test_a_unit_that_cannot_help_is_not_read() -> None:
    network = nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 2))
    inputs = torch.randn(20, 6)
    targets = network(inputs).detach()
    create_units(Structure(network, inputs), "0", 2, ResidualFit(lambda: mse_loss(network(inputs), targets)))
    assert not bool(network[2].weight[:, 5:].any())


def test_residual_fit_is_for_units_that_are_created(setting: Callable[..., Any]) -> None:
    place = setting("mlp")
    with pytest.raises(StructureError, match="created"):
        reinitialise_units(place.structure(), "0", [1], ResidualFit(place.loss))


@pytest.mark.parametrize("line", [(1.0, -1.0), (0.0, -3.0)])
def test_a_loss_without_a_minimum_is_lowered(line: tuple[float, float]) -> None:
    network, batch = nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 1)), torch.randn(16, 6)
    before = float(network(batch).detach().sum())
    create_units(Structure(network, batch), "0", 1, ResidualFit(lambda: line[0] + line[1] * network(batch).sum()))
    assert before < float(network(batch).detach().sum()) < 1e6
