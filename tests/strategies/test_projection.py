"""GEM's projection against hand-worked cases and another solver, and in training."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from avalanche.core import SupervisedPlugin
from scipy.optimize import LinearConstraint, minimize

from lifelong.workarounds.projection import RIDGE, WorkingGEM, dual_weights


def test_a_gradient_against_one_memory_loses_what_is_against_it():
    memory, gradient = np.array([[1.0, 0.0]]), np.array([-1.0, 1.0])
    (weight,) = dual_weights(memory, gradient, least=0.0)
    assert weight == pytest.approx(1 / (1 + RIDGE))
    assert gradient + weight * memory[0] == pytest.approx([0, 1], abs=2e-3)


def test_a_gradient_against_no_memory_stays():
    assert dual_weights(np.eye(2), np.array([1.0, 2.0]), least=0.0).tolist() == [0, 0]


@pytest.mark.parametrize("least", [0.0, 0.5])
@pytest.mark.parametrize("seed", range(5))
def test_weights_are_those_of_another_solver(seed, least):
    """The dual problem by sequential quadratic programming."""
    rng = np.random.default_rng(seed)
    memories, gradient = rng.normal(size=(4, 6)), rng.normal(size=6)
    P = memories @ memories.T + RIDGE * np.eye(4)
    q = memories @ gradient
    solved = minimize(
        lambda v: v @ P @ v / 2 + q @ v,
        np.ones(4),
        jac=lambda v: P @ v + q,
        method="SLSQP",
        constraints=LinearConstraint(np.eye(4), lb=least),
        options={"ftol": 1e-12, "maxiter": 1000},
    )
    assert solved.success
    assert dual_weights(memories, gradient, least) == pytest.approx(solved.x, abs=1e-5)


class Conflicts(SupervisedPlugin):
    """The least product of a gradient and a memory's, before and after the projection."""

    def __init__(self):
        super().__init__()
        self.least = []

    def after_backward(self, strategy, **_):
        (gem,) = (plugin for plugin in strategy.plugins if isinstance(plugin, WorkingGEM))
        if strategy.clock.train_exp_counter:
            gradient = torch.cat([weight.grad.flatten() for weight in strategy.model.parameters()])
            self.least.append(float((gem.G @ gradient).min() / gradient.norm() / gem.G.norm(dim=1).max()))


@pytest.mark.parametrize("strength", [0.0, 0.5])
def test_no_step_goes_against_a_memory(trained, strength):
    watch = Conflicts()
    trained("gem", experiences=3, watch=watch, memory_strength=strength)
    assert min(watch.least) > -2e-3, "but for the ridge"
    naive = Conflicts()
    trained("gem", experiences=3, watch=naive, memory_strength=strength, between=without_projection)
    assert min(naive.least) < -0.1


def without_projection(strategy):
    for plugin in strategy.plugins:
        if isinstance(plugin, WorkingGEM):
            plugin.after_backward = lambda *_, **__: None
    return strategy
