"""MER against steps made by hand, La-MAML's gradients against finite differences."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch
from avalanche.core import SupervisedPlugin
from torch.func import functional_call
from torch.nn.functional import cross_entropy


class Steps(SupervisedPlugin):
    """The network and the batch of each step, before and after it, and the last step's gradients."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def before_update(self, strategy, **_):
        memory = strategy.memory
        self.before = deepcopy(strategy.model), strategy.mb_x, strategy.mb_y, memory.fresh, torch.get_rng_state()
        self.slopes = [None if weight.grad is None else weight.grad.clone() for weight in strategy.model.parameters()]

    def after_update(self, strategy, **_):
        self.seen.append((*self.before, deepcopy(strategy.model)))


def weights_of(model):
    return torch.cat([weight.detach().flatten() for weight in model.parameters()])


@pytest.mark.parametrize("experience", [0, 1])
def test_mer_makes_its_steps_one_sample_at_a_time(trained, experience):
    watch = Steps()
    trained("mer", experiences=2, watch=watch, batch_size_mem=3, n_inner_steps=2, alpha=0.05, beta=0.3, gamma=0.5)
    size = 38 if experience else 32
    model, x, y, fresh, state, after = next(step for step in watch.seen if len(step[1]) == size)
    assert fresh == 32
    torch.set_rng_state(state)
    members = [[*range(32), *range(32, 35)], [*range(32), *range(35, 38)]] if experience else [list(range(32))] * 2
    orders = [[some[i] for i in torch.randperm(len(some)).tolist()] for some in members]
    start = weights_of(model)
    for order in orders:
        before = weights_of(model)
        optimizer = torch.optim.SGD(model.parameters(), 0.05)
        for i in order:
            optimizer.zero_grad()
            cross_entropy(model(x[i][None]), y[i][None]).backward()
            optimizer.step()
        torch.nn.utils.vector_to_parameters(before + 0.3 * (weights_of(model) - before), model.parameters())
    expected = start + 0.5 * (weights_of(model) - start)
    torch.testing.assert_close(weights_of(after), expected)
    assert (expected - start).abs().max() > 1e-3


def meta_loss(model, weights, rates, x, y, fresh, parts):
    """The mean loss on the whole batch after each step on a part of the new samples: algorithm 1."""
    fast, losses = dict(weights), []
    for at in torch.arange(fresh).tensor_split(parts):
        loss = cross_entropy(functional_call(model, fast, (x[at],)), y[at])
        slopes = torch.autograd.grad(loss, list(fast.values()))
        fast = {
            name: (weight - rates[name] * slope.clamp(-1, 1)).detach().requires_grad_()
            for (name, weight), slope in zip(fast.items(), slopes, strict=True)
        }
        losses.append(float(cross_entropy(functional_call(model, fast, (x,)), y).detach()))
    return sum(losses) / len(losses)


def test_gradients_of_la_maml_are_those_of_the_loss_ahead(built):
    """By central differences in double precision, along random directions of weights and rates."""
    strategy = built("lamaml", n_inner_updates=3).strategy
    model = strategy.model = strategy.model.double()
    torch.manual_seed(0)
    x, y = torch.randn(12, 1, 8, 8, dtype=torch.float64), torch.arange(12) % 10
    strategy.mbatch, strategy.memory.fresh = [x, y, torch.zeros(12, dtype=torch.long)], 8
    strategy.backward()
    weights = {name: weight.detach().clone().requires_grad_() for name, weight in model.named_parameters()}
    rates = {name: rate.detach().clone() for name, rate in strategy.rates.items()}
    slopes = {
        "weights": {name: weight.grad for name, weight in model.named_parameters()},
        "rates": {name: rate.grad for name, rate in strategy.rates.items()},
    }
    for which, values in (("weights", weights), ("rates", rates)):
        way = {name: torch.randn_like(value) for name, value in values.items()}
        sides = []
        for sign in (1, -1):
            moved = {
                name: (value + sign * 1e-5 * way[name]).detach().requires_grad_() for name, value in values.items()
            }
            at = (moved, rates) if which == "weights" else (weights, moved)
            sides.append(meta_loss(model, *at, x, y, 8, 3))
        slope = sum(float((way[name] * slopes[which][name]).sum()) for name in way)
        assert slope == pytest.approx((sides[0] - sides[1]) / 2e-5, rel=1e-4)


def test_la_maml_steps_at_the_rates_that_it_learns(trained):
    watch = Steps()
    strategy = trained("lamaml", experiences=1, watch=watch, alpha_init=0.1, lr_alpha=0.0, grad_clip_norm=1e9)
    model, *_, after = watch.seen[-1]
    assert all((rate == 0.1).all() for rate in strategy.rates.values())
    gradient = torch.cat([slope.flatten() for slope in watch.slopes])
    torch.testing.assert_close(weights_of(after), weights_of(model) - 0.1 * gradient)
    learnt = trained("lamaml", experiences=1, alpha_init=0.1)
    assert any((rate != 0.1).any() for rate in learnt.rates.values())


def test_a_batch_smaller_than_the_inner_updates(built):
    strategy = built("lamaml", n_inner_updates=5).strategy
    x, y = torch.randn(3, 1, 8, 8), torch.arange(3)
    strategy.mbatch, strategy.memory.fresh = [x, y, torch.zeros(3, dtype=torch.long)], 3
    strategy.backward()
    assert all(torch.isfinite(weight.grad).all() for weight in strategy.model.parameters())


@pytest.mark.parametrize("name", ["mer", "lamaml"])
def test_weights_start_as_everyones(built, name):
    assert torch.equal(weights_of(built(name).strategy.model), weights_of(built("naive").strategy.model))
