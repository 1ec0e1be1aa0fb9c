"""Riemannian walk beside the paper's equations by hand, and what Avalanche's makes of them."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from avalanche.training.plugins import RWalkPlugin
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader

EPOCHS, BATCH = 2, 4


@pytest.fixture(scope="module")
def kind(ours):
    return ours("riemannian_walk", "RiemannianWalk")


def test_rwalk_trains_in_eval_mode_fault(kind, benchmark_of, network_for, train_with, watch) -> None:
    for plugin, training in ((RWalkPlugin(), False), (kind(), True)):
        benchmark, watching = benchmark_of(), watch()
        train_with(network_for(benchmark), benchmark, plugin, watching, experiences=1)
        assert set(watching.training) == {training}


def test_rwalk_of_a_short_experience_fault(kind, benchmark_of, network_for, train_with) -> None:
    """Four steps, of which ten would make a score."""
    for plugin, penalties, finite in (
        (RWalkPlugin(delta_t=10), "exp_penalties", False),
        (kind(delta_t=10), "stiffness", True),
    ):
        benchmark = benchmark_of()
        train_with(network_for(benchmark), benchmark, plugin, experiences=1)
        values = torch.cat([value.data.flatten() for value in getattr(plugin, penalties).values()])
        assert bool(torch.isfinite(values).all()) is finite


def test_at_zero_loss_there_is_no_penalty(kind, benchmark_of, network_for, train_with) -> None:
    benchmark = benchmark_of()
    model, first = network_for(benchmark), benchmark.train_stream[0]
    label = min(first.classes_in_this_experience)
    with torch.no_grad():
        model.classifier.weight.zero_()
        model.classifier.bias.fill_(-200.0)
        model.classifier.bias[label] = 200.0
    first._dataset = first.dataset.subset(torch.nonzero(torch.tensor(list(first.dataset.targets)) == label).flatten())
    train_with(model, benchmark, kind(), experiences=2)
    assert all(torch.isfinite(parameter).all() for parameter in model.parameters())


def add_scores(
    scores: list[Tensor], gained: list[Tensor], fisher: list[Tensor], weights: list[Any], start: list[Tensor]
) -> None:
    """Equation 7, over the steps since the weights were at `start`."""
    for s, g, f, w, b in zip(scores, gained, fisher, weights, start, strict=True):
        s += g / (0.5 * f * (w.detach() - b) ** 2 + torch.finfo(g.dtype).eps)


def by_hand(
    model: nn.Module, benchmark: Any, strength: float, alpha: float, every: int
) -> tuple[list[Tensor], list[Tensor]]:
    """Chaudhry et al. 2018, equations 6 to 8, on the batches of a run whose generator is seeded with 3.

    Returns the weights after the stream, and how stiffly the next experience would hold them.
    """
    torch.manual_seed(3)
    weights = list(model.parameters())
    optimizer = torch.optim.SGD(weights, 0.1, momentum=0.9)
    fisher: list[Tensor] = []
    score: list[Tensor] = []
    stiffness, anchor = [torch.zeros_like(w) for w in weights], [w.detach().clone() for w in weights]
    step = 0
    for experience in benchmark.train_stream:
        gained, start = [torch.zeros_like(w) for w in weights], [w.detach().clone() for w in weights]
        scores = [torch.zeros_like(w) for w in weights]

        for _ in range(EPOCHS):
            for x, y, _ in DataLoader(experience.dataset, BATCH, shuffle=True):
                criterion = functional.cross_entropy(model(x), y)
                gradient = torch.autograd.grad(criterion, weights, retain_graph=True)
                squares = [g**2 for g in gradient]
                known = fisher or squares
                fisher = [alpha * new + (1 - alpha) * old for new, old in zip(squares, known, strict=True)]
                penalty = sum((s * (w - a) ** 2).sum() for s, w, a in zip(stiffness, weights, anchor, strict=True))
                optimizer.zero_grad()
                (criterion + strength * penalty).backward()
                before = [w.detach().clone() for w in weights]
                optimizer.step()
                for total, g, w, b in zip(gained, gradient, weights, before, strict=True):
                    total -= g * (w.detach() - b)
                step += 1
                if step % every == 0:
                    add_scores(scores, gained, fisher, weights, start)
                    gained, start = [torch.zeros_like(w) for w in weights], [w.detach().clone() for w in weights]
        add_scores(scores, gained, fisher, weights, start)
        positive = [s.clamp(min=0) for s in scores]
        score = [(a + b) / 2 for a, b in zip(score or positive, positive, strict=True)]
        most_score, most_fisher = max(s.max() for s in score), max(f.max() for f in fisher)
        stiffness = [f / most_fisher + s / most_score for f, s in zip(fisher, score, strict=True)]
        anchor = [w.detach().clone() for w in weights]
    return [w.detach() for w in weights], stiffness


@pytest.mark.parametrize("every", [1, 3, 10])
def test_it_is_chaudhrys(every, kind, benchmark_of, network_for, train_with) -> None:
    benchmark = benchmark_of()
    plugin = kind(0.5, 0.9, delta_t=every)
    strategy = train_with(network_for(benchmark), benchmark, plugin)
    expected, stiffness = by_hand(network_for(benchmark), benchmark, 0.5, 0.9, every)
    torch.testing.assert_close([w.detach() for w in strategy.model.parameters()], expected)
    torch.testing.assert_close(list(plugin.stiffness.values()), stiffness)
    naive = train_with(network_for(benchmark), benchmark)
    assert not torch.allclose(next(naive.model.parameters()), expected[0], atol=1e-3)
