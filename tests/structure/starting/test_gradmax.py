"""GradMax: new units change nothing, and no other fan-out of their norm would give them a larger gradient."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize, unfold

from lifelong.structure import (
    Growth,
    Initialiser,
    Role,
    Start,
    Structure,
    StructureError,
    create_units,
    freeze_units,
)
from lifelong.structure.starting.gradmax import GradMax
from lifelong.structure.starting.trials import to_rows


@dataclass(frozen=True)
class RandomFanOut(Initialiser):
    """Starts units as GradMax does, but with random directions of the same norms."""

    like: GradMax

    def start(self, growth: Growth) -> Start:
        values = dict(self.like.start(growth).values)
        slots = growth.layer.slots_of(Role.FAN_OUT)
        rows = torch.cat([to_rows(slot, values[slot]) for slot in slots], dim=1)
        drawn = normalize(torch.linalg.qr(torch.randn_like(rows).T).Q.T) * rows.norm(dim=1, keepdim=True)
        start = 0
        for slot in slots:
            width = to_rows(slot, values[slot]).shape[1]
            moved = values[slot].movedim(slot.dim, 0)
            values[slot] = drawn[:, start : start + width].reshape(moved.shape).movedim(0, slot.dim)
            start += width
        return Start(values)


@settings.get_profile("quick")
@given(count=st.integers(1, 6), training=st.booleans())
def test_gradmax_preserves_the_function(
    setting: Callable[..., Any], tried: tuple[str, str], count: int, training: bool
) -> None:
    name, layer = tried
    place = setting(name)

    def outputs() -> Tensor:
        with torch.no_grad():
            return deepcopy(place.network).train(training)(*place.inputs)

    before = outputs()
    create_units(place.structure(), layer, count, GradMax(place.loss))
    assert float((outputs() - before).norm()) <= 1e-5 * float(before.norm())


def test_no_fan_out_gives_a_larger_gradient(setting: Callable[..., Any], tried: tuple[str, str]) -> None:
    name, layer = tried

    def norm(seed: int, make: Callable[[GradMax], Initialiser]) -> float:
        place = setting(name)
        torch.manual_seed(seed)
        create_units(place.structure(), layer, 1, make(GradMax(place.loss, norm=0.5)))
        return float(place.fan_in_gradients(layer)[-1].norm())

    largest = norm(0, lambda gradmax: gradmax)
    others = [norm(seed, RandomFanOut) for seed in range(5)]
    assert largest > max(others)
    assert largest > 1.1 * sum(others) / len(others)


def test_the_gradient_is_what_the_singular_values_say_of_a_linear_layer(squared_error: Callable[..., Any]) -> None:
    network = nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 5))
    place = squared_error(network, (torch.randn(20, 6),), torch.randn(20, 5))
    error = 2 * (place.outputs() - place.targets) / place.targets.numel()
    strengths = torch.linalg.svdvals(error.T @ place.inputs[0])
    norm = float(network[2].weight.detach().norm(dim=0).mean())
    create_units(place.structure(), "0", 3, GradMax(place.loss))
    torch.testing.assert_close(network[2].weight[:, 4:].norm(dim=0), torch.full((3,), norm))
    gradients = place.fan_in_gradients("0")[4:]
    torch.testing.assert_close(gradients.square().sum(), norm**2 * strengths[:3].square().sum(), rtol=1e-3, atol=0)
    torch.testing.assert_close(gradients.norm(dim=1), norm * strengths[:3], rtol=1e-3, atol=0)


@pytest.mark.parametrize("options", [{}, {"stride": 2}, {"padding": 2, "dilation": 2}])
def test_the_gradient_is_what_the_singular_values_say_of_a_convolution(
    squared_error: Callable[..., Any], options: dict[str, int]
) -> None:
    one, two = nn.Conv2d(2, 3, 3, **options), nn.Conv2d(3, 4, 2, **options)
    place = squared_error(nn.Sequential(one, nn.ReLU(), two), (torch.randn(5, 2, 11, 11),), torch.zeros(()))
    place.targets = torch.randn_like(place.outputs())
    error = 2 * (place.outputs() - place.targets) / place.targets.numel()
    # The patches that a filter sees, as channels of an image that the next convolution reads.
    size = one(place.inputs[0]).shape[-2:]
    image = unfold(place.inputs[0], 3, one.dilation, one.padding, one.stride).unflatten(2, size)
    shape = (4, image.shape[1], 2, 2)
    grown = torch.nn.grad.conv2d_weight(image, shape, error, two.stride, two.padding, two.dilation)
    strengths = torch.linalg.svdvals(grown.transpose(0, 1).flatten(1))
    create_units(place.structure(), "0", 2, GradMax(place.loss, norm=0.3))
    gradients = place.fan_in_gradients("0")[3:]
    torch.testing.assert_close(gradients.norm(dim=1), 0.3 * strengths[:2], rtol=1e-3, atol=0)


def test_without_a_bias_a_rectified_unit_would_never_learn() -> None:
    batch = torch.randn(16, 6)
    for bias, lift in ((True, 0.0), (False, 1e-6)):
        network = nn.Sequential(nn.Linear(6, 4, bias=bias), nn.ReLU(), nn.Linear(4, 2))
        with pytest.raises(StructureError, match="slope at zero"):
            create_units(
                Structure(network, batch), "0", 1, GradMax(lambda net=network: net(batch).exp().mean(), lift=lift)
            )
    network = nn.Sequential(nn.Linear(6, 4, bias=False), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 2))
    create_units(Structure(network, batch), "0", 2, GradMax(lambda: network(batch).exp().mean()))
    network(batch).exp().mean().backward()
    assert bool((network[0].weight.grad[4:].norm(dim=1) > 0).all())


def test_an_activation_that_is_not_zero_at_zero_is_refused() -> None:
    network, batch = nn.Sequential(nn.Linear(6, 4), nn.Sigmoid(), nn.Linear(4, 2)), torch.randn(16, 6)
    with pytest.raises(StructureError, match=r"'0'.*outputs of '2'"):
        create_units(Structure(network, batch), "0", 1, GradMax(lambda: network(batch).exp().mean()))


def test_a_layer_in_which_all_units_are_dead_can_grow(squared_error: Callable[..., Any]) -> None:
    network, batch = nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 2, bias=False)), torch.randn(16, 6)
    network[0].bias.data.fill_(-100)
    place = squared_error(network, (batch,), torch.randn(16, 2))
    create_units(place.structure(), "0", 2, GradMax(place.loss))
    assert bool((place.fan_in_gradients("0")[4:].norm(dim=1) > 0).all())


def test_more_units_than_singular_vectors_are_all_different() -> None:
    network = nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 3))
    inputs, classes = torch.randn(32, 6), torch.randint(3, (32,))
    create_units(Structure(network, inputs), "0", 8, GradMax(lambda: cross_entropy(network(inputs), classes)))
    (gradient,) = torch.autograd.grad(cross_entropy(network(inputs), classes), network[0].weight)
    new = gradient[4:]
    assert torch.linalg.matrix_rank(new, rtol=1e-3) == 2  # one less than there are classes
    cosines = normalize(new) @ normalize(new).T - torch.eye(8)
    assert float(cosines.max()) < 0.9999
    assert float(new.norm(dim=1).min()) > 1e-2 * float(new.norm(dim=1).max())


def test_several_units_in_one_direction_would_stay_the_same(squared_error: Callable[..., Any]) -> None:
    network, batch = nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 1)), torch.randn(16, 6)
    place = squared_error(network, (batch,), torch.randn(16, 1))
    with pytest.raises(StructureError, match="one direction"):
        create_units(place.structure(), "0", 2, GradMax(place.loss))
    create_units(place.structure(), "0", 1, GradMax(place.loss))


def test_gradmax_does_not_count_on_synapses_to_frozen_units(squared_error: Callable[..., Any]) -> None:
    network = nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 2))
    place = squared_error(network, (torch.randn(20, 6),), torch.randn(20, 2))
    structure = place.structure()
    freeze_units(structure, "2", [0, 3])
    create_units(structure, "0", 2, GradMax(place.loss, norm=0.7))
    torch.testing.assert_close(network[2].weight[:, 4:].norm(dim=0), torch.full((2,), 0.7))
    assert not bool(network[2].weight[[0, 3], 4:].any())


def test_a_head_that_is_not_run_does_not_read_the_new_units(setting: Callable[..., Any]) -> None:
    place = setting("heads")
    create_units(place.structure(), "features", 2, GradMax(place.loss))
    read = [float(place.network.heads[task].weight.detach()[:, 7:].norm()) for task in "012"]
    assert read[0] == read[2] == 0 < read[1]
