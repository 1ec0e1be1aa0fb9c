"""Curvature equals what torch's own Hessian gives, and second derivatives by hand."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.func import functional_call

from lifelong.errors import UsageError
from lifelong.plasticity.moment import MomentKind
from lifelong.plasticity.scores import Curvature
from lifelong.plasticity.scores.curvature import hessian_diagonal


def test_a_diagonal_hessian_is_found_exactly():
    w = nn.Parameter(torch.tensor([1.0, -2.0, 0.5]))
    curvature = torch.tensor([3.0, -1.0, 0.0])
    (found,) = hessian_diagonal((curvature * w.square()).sum() / 2, [w], 1, torch.Generator())
    assert torch.equal(found, curvature)


def test_a_mixed_hessian_is_found_on_average():
    w = nn.Parameter(torch.tensor([1.0, -2.0]))
    (found,) = hessian_diagonal(
        w[0] ** 2 + 4 * w[0] * w[1] + 3 * w[1] ** 2, [w], 4000, torch.Generator().manual_seed(0)
    )
    assert found.tolist() == pytest.approx([2, 6], abs=0.3)


def test_a_linear_loss_has_no_curvature(mlp, x):
    assert Curvature()(mlp.update(x), "0").tolist() == [0, 0, 0]


def test_saliency_against_torch_s_hessian(mlp, x):
    torch.manual_seed(0)
    made = type(mlp)(nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 2)), torch.zeros(1, 2))

    def loss(output):
        return output.square().sum()

    moment = made.update(x, loss)
    weight = made.network[0].weight.detach()

    def of(values):
        return loss(functional_call(made.network, {"0.weight": values.view(3, 2)}, x))

    diagonal = torch.autograd.functional.hessian(of, weight.flatten()).diagonal().view(3, 2)
    expected = (diagonal * weight.square() / 2).sum(1)
    found = Curvature(draws=3000)(moment, "0")
    torch.testing.assert_close(found, expected, rtol=0.1, atol=0.02)


def test_the_filters_of_a_convolution(conv):
    images = torch.randn(4, 1, 2, 2)
    moment = conv.update(images, lambda output: output.square().sum())
    # one weight for each filter: filters are cut off from each other where the readers do not mix them
    with torch.no_grad():
        conv.network[3].weight[:] = 0
        conv.network[3].weight[0, :4] = 1.0
        conv.network[3].bias[:] = 0
        conv.network[0].bias[:] = 0
        conv.network[0].weight[:] = 1.0
    said = images.relu().sum((1, 2, 3))
    # loss = sum over samples of (w_0 * said)^2, so that h w^2 / 2 = said^2
    assert Curvature()(moment, "0").tolist() == pytest.approx([float(said.square().sum()), 0, 0], rel=1e-5)


def test_gradients_statistics_and_random_numbers_stay(mlp, x):
    torch.manual_seed(0)
    made = type(mlp)(
        nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.ReLU(), nn.Dropout(), nn.Linear(3, 2)), torch.zeros(1, 2)
    )
    moment = made.update(x, lambda output: output.square().sum())
    before = [*(p.grad.clone() for p in made.network.parameters()), *map(torch.clone, made.network.buffers())]
    drawn = torch.get_rng_state()
    Curvature()(moment, "0")
    after = [*(p.grad for p in made.network.parameters()), *made.network.buffers()]
    assert all(torch.equal(one, other) for one, other in zip(before, after, strict=True))
    assert torch.equal(torch.get_rng_state(), drawn)


def test_an_untrained_layer_has_none(mlp, x):
    mlp.network[0].weight.requires_grad = False
    assert Curvature()(mlp.update(x, lambda output: output.square().sum()), "0").tolist() == [0, 0, 0]


def test_without_a_batch_it_says_so(mlp):
    mlp.batch = None
    with pytest.raises(UsageError, match="no batch"):
        Curvature()(mlp.moment(MomentKind.START), "0")
    with pytest.raises(UsageError, match="draws = 0"):
        Curvature(draws=0)
