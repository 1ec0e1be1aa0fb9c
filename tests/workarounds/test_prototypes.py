"""The pseudo-prototypical proxy loss, against Avalanche's where that is finite."""

from __future__ import annotations

import pytest
import torch
from avalanche.training.plugins.cope import PPPloss
from torch.nn.functional import normalize

from lifelong.workarounds.prototypes import WorkingPPPloss


@pytest.mark.parametrize("classes", [[3], [0, 3], [0, 2, 3, 7]])
def test_our_loss_is_avalanches(classes: list[int]) -> None:
    """With as many prototypes as classes and with more, and one sample of some."""
    generator = torch.Generator().manual_seed(len(classes))
    prototypes = {c: normalize(torch.randn(1, 5, generator=generator)) for c in (0, 2, 3, 7)}
    y = torch.tensor([*classes, classes[0], classes[0], classes[-1]])
    x = torch.randn(len(y), 5, generator=generator, requires_grad=True)
    results = []
    for kind in (PPPloss, WorkingPPPloss):
        loss = kind(prototypes, 0.5)(normalize(x), y)
        results.append((loss.detach(), *torch.autograd.grad(loss, x)))
    torch.testing.assert_close(*results)


def test_a_lone_prototype_pulls_nothing_apart() -> None:
    """All of the probability is its class's, whatever the sample."""
    x = normalize(torch.randn(3, 2)).requires_grad_()
    loss = WorkingPPPloss({4: torch.tensor([[1.0, 0.0]])}, 0.1)(x, torch.full((3,), 4))
    assert loss.item() == pytest.approx(0)
    assert torch.autograd.grad(loss, x)[0].abs().max() == 0


def test_a_sample_at_anothers_prototype_fault() -> None:
    """Two prototypes on opposite sides: what lies on the wrong one has an infinite loss."""
    prototypes = {0: torch.tensor([[1.0, 0.0]]), 1: torch.tensor([[-1.0, 0.0]])}
    for kind, finite in ((PPPloss, False), (WorkingPPPloss, True)):
        x = torch.tensor([[1.0, 0.0], [1.0, 0.0]], requires_grad=True)
        loss = kind(prototypes, 0.1)(x, torch.tensor([0, 1]))
        (gradient,) = torch.autograd.grad(loss, x)
        assert bool(torch.isfinite(loss)) is finite
        assert bool(torch.isfinite(gradient).all()) is finite
