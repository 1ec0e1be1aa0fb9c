"""NORTH*: new units have weights or activations orthogonal to those of the units before them."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from lifelong.structure import (
    Initialiser,
    Structure,
    StructureError,
    ZeroFanOut,
    create_units,
    reinitialise_units,
)
from lifelong.structure.starting.orthogonal import OrthogonalActivations, OrthogonalWeights


@pytest.mark.parametrize(("make", "flat"), [(lambda: nn.Linear(20, 6), 20), (lambda: nn.Conv2d(3, 6, 3), 27)])
def test_new_fan_in_is_orthogonal(make: Callable[[], nn.Module], flat: int) -> None:
    network = nn.Sequential(make(), nn.ReLU(), nn.Flatten(), nn.LazyLinear(2))
    example = torch.randn(4, 20) if flat == 20 else torch.randn(4, 3, 5, 5)
    before = network(example)
    create_units(Structure(network, example), "0", 5, OrthogonalWeights())
    rows = network[0].weight.detach().flatten(1)
    old, new = rows[:6], rows[6:]
    assert float((old @ new.T).abs().max()) < 1e-6
    torch.testing.assert_close(new @ new.T, torch.eye(5) * old.norm(dim=1).mean().square(), atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(network(example), before)


def test_where_no_room_is_left_new_fan_in_overlaps_least() -> None:
    network = nn.Sequential(nn.Linear(4, 7), nn.ReLU(), nn.Linear(7, 2))
    old = normalize(network[0].weight.detach().clone())
    create_units(Structure(network, torch.randn(3, 4)), "0", 2, OrthogonalWeights())
    first, second = normalize(network[0].weight.detach()[7:])
    others = normalize(torch.randn(20000, 4))
    for rows, new in ((old, first), (torch.cat([old, first[None]]), second)):
        overlap = float((rows @ new).square().sum())
        assert overlap <= float((others @ rows.T).square().sum(1).min())
        assert overlap == pytest.approx(float(torch.linalg.eigvalsh(rows.T @ rows)[0]), abs=1e-5)


def test_some_room_is_used_before_overlapping() -> None:
    network = nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 2))
    create_units(Structure(network, torch.randn(3, 6)), "0", 4, OrthogonalWeights())
    rows = normalize(network[0].weight.detach())
    assert float((rows[:4] @ rows[4:6].T).abs().max()) < 1e-6
    assert float((rows[:6] @ rows[6:].T).abs().max()) > 1e-3
    assert int(torch.linalg.matrix_rank(rows)) == 6


def test_units_that_read_their_own_layer_start_orthogonal_to_the_existing_ones(setting: Callable[..., Any]) -> None:
    place = setting("loop")
    before = place.outputs()
    create_units(place.structure(), "inner", 2, OrthogonalWeights())
    torch.testing.assert_close(place.outputs(), before)  # sums over more entries may be rounded in another order
    assert not place.network.inner.weight[:5, 5:].any()
    assert not place.network.last.weight[:, 5:].any()
    rows = place.network.first.weight.detach()
    assert float((normalize(rows)[:5] @ normalize(rows)[5:].T).abs().min()) < 1e-6
    reinitialise_units(place.structure(), "inner", [0], OrthogonalWeights())


def shares_outside(activations: Tensor, old: int) -> Tensor:
    """Return, for each unit after the first, the sine of the angle from its activations to the span of those before."""
    shares = []
    for unit in range(old, len(activations)):
        basis, values = activations[:unit].T, activations[unit][:, None]
        rest = values - basis @ torch.linalg.lstsq(basis, values, driver="gelsd").solution
        shares.append(rest.norm() / values.norm().clamp(min=1e-12))
    return torch.stack(shares)


@pytest.mark.parametrize(
    ("name", "layer", "read"), [("mlp", "0", 2), ("cnn-batchnorm", "0", 4), ("mlp-batchnorm", "0", 3)]
)
def test_chosen_activations_are_most_orthogonal(setting: Callable[..., Any], name: str, layer: str, read: int) -> None:
    seeds = count()

    def shares(fresh: Initialiser | None = None) -> Tensor:
        place = setting(name, samples=24)
        new = fresh or OrthogonalActivations(place.loss, candidates=60)
        old = place.structure().layer(layer).units
        before = place.outputs()
        torch.manual_seed(next(seeds))
        create_units(place.structure(), layer, 2, new)
        torch.testing.assert_close(place.outputs(), before)
        seen = place.network.eval()[:read](*place.inputs).detach()
        return shares_outside(seen.transpose(0, 1).flatten(1).double(), old)

    chosen = shares()
    fresh = torch.stack([shares(ZeroFanOut()) for _ in range(12)])
    assert float(chosen[0]) > float(fresh[:, 0].quantile(0.9))
    assert float(chosen[1]) > float(fresh[:, 1].mean())


def test_it_chooses_the_one_candidate_that_is_new() -> None:
    """Two inputs are the same, so that a linear unit's activations are new only as far as it reads the third."""
    network = nn.Sequential(nn.Linear(3, 1, bias=False), nn.Linear(1, 1))
    network[0].weight.data = torch.tensor([[1.0, 1.0, 0.0]])
    batch = torch.randn(50, 3)
    batch[:, 1] = batch[:, 0]
    basis = torch.linalg.qr(batch[:, [0, 2]]).Q
    batch = torch.stack([basis[:, 0], basis[:, 0], basis[:, 1]], 1)
    initialiser = OrthogonalActivations(lambda: network(batch).sum(), candidates=200)
    create_units(Structure(network, batch), "0", 1, initialiser)
    weight = network[0].weight.detach()[1]
    assert abs(float(weight[2])) > 20 * abs(float(weight[0] + weight[1]))
    assert float(weight.norm()) == pytest.approx(2**0.5)


def test_each_choice_counts_for_the_next() -> None:
    network = nn.Sequential(nn.Linear(4, 1, bias=False), nn.Linear(1, 1))
    network[0].weight.data = torch.eye(4)[:1]
    batch = torch.linalg.qr(torch.randn(30, 4)).Q
    create_units(Structure(network, batch), "0", 3, OrthogonalActivations(lambda: network(batch).sum(), candidates=500))
    rows = normalize(network[0].weight.detach())
    assert float((rows @ rows.T - torch.eye(4)).abs().max()) < 0.35


def test_no_candidate_is_chosen_twice() -> None:
    """On a single sample nothing lies outside the span of what is there."""
    network, batch = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 1)), torch.randn(1, 3)
    create_units(Structure(network, batch), "0", 4, OrthogonalActivations(lambda: network(batch).sum(), candidates=4))
    assert len(network[0].weight.detach()[2:].unique(dim=0)) == 4


def test_more_units_than_candidates_are_refused(setting: Callable[..., Any]) -> None:
    place = setting("mlp")
    with pytest.raises(StructureError, match="5 units from 4 candidates"):
        create_units(place.structure(), "0", 5, OrthogonalActivations(place.loss, candidates=4))
