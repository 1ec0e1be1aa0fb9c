"""Synaptic intelligence beside the paper's equations by hand, and what Avalanche's makes of them."""

from __future__ import annotations

import warnings
from copy import deepcopy
from typing import Any

import pytest
import torch
from avalanche.benchmarks import CLScenario
from avalanche.training.plugins import SynapticIntelligencePlugin
from avalanche.training.utils import ParamData
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader

EPOCHS, BATCH = 2, 4


@pytest.fixture(scope="module")
def kind(ours):
    return ours("synaptic_intelligence", "SynapticIntelligence")


def by_hand(model: nn.Module, benchmark: CLScenario, strength: float, eps: float) -> tuple[list[Tensor], list[Tensor]]:
    """Zenke et al. 2017, equations 3 to 5, on the batches of a run whose generator is seeded with 3.

    Returns the weights and the importances of each parameter after the stream. Importances are not negative, and g is
    the gradient of the whole loss, as Avalanche takes it.
    """
    torch.manual_seed(3)
    weights = list(model.parameters())
    optimizer = torch.optim.SGD(weights, 0.1, momentum=0.9)
    big_omega = [torch.zeros_like(w) for w in weights]
    anchor = [w.detach().clone() for w in weights]
    for experience in benchmark.train_stream:
        start = [w.detach().clone() for w in weights]
        small_omega = [torch.zeros_like(w) for w in weights]
        for _ in range(EPOCHS):
            for x, y, _ in DataLoader(experience.dataset, BATCH, shuffle=True):
                moved = zip(big_omega, weights, anchor, strict=True)
                penalty = sum((o.clamp(min=0) * (w - a) ** 2).sum() for o, w, a in moved)
                loss = functional.cross_entropy(model(x), y) + strength / 2 * penalty
                optimizer.zero_grad()
                loss.backward()
                before = [w.detach().clone() for w in weights]
                optimizer.step()
                for omega, w, b in zip(small_omega, weights, before, strict=True):
                    omega -= w.grad * (w.detach() - b)
        for omega, total, w, s in zip(small_omega, big_omega, weights, start, strict=True):
            total += omega / ((w.detach() - s) ** 2 + eps)
        anchor = [w.detach().clone() for w in weights]
    return weights, [o.clamp(min=0) for o in big_omega]


def flat(values: dict[str, Any]) -> Tensor:
    return torch.cat([value.data.flatten() for value in values.values()])


def test_it_is_zenkes(kind, benchmark_of, network_for, train_with) -> None:
    benchmark = benchmark_of()
    plugin = kind(0.5, eps=1e-3)
    strategy = train_with(network_for(benchmark), benchmark, plugin)
    weights, omega = by_hand(network_for(benchmark), benchmark, 0.5, 1e-3)
    torch.testing.assert_close(list(strategy.model.parameters()), weights)
    expected = torch.cat([o.flatten() for o in omega])
    torch.testing.assert_close(flat(plugin.importance), expected)
    assert (expected > 0).float().mean() > 0.5
    assert expected.max() > 0.001, "where stock Avalanche's are capped"
    torch.testing.assert_close(plugin.anchor, {name: w.detach() for name, w in strategy.model.named_parameters()})


def test_with_several_heads(kind, benchmark_of, network_for, train_with) -> None:
    """A head that is not in use gains no importance, and is not moved."""
    benchmark = benchmark_of("task")
    plugin = kind(1.0)
    strategy = train_with(network_for(benchmark, "task"), benchmark, plugin, experiences=1)
    heads = {name: value for name, value in plugin.importance.items() if "classifiers" in name}
    used = {name: bool(value.abs().max() > 0) for name, value in heads.items()}
    assert used == {name: ".0." in name for name in heads}
    assert sum(used.values()) == 2
    for experience in benchmark.train_stream[1:]:
        strategy.train(experience)
    assert torch.isfinite(flat(plugin.importance)).all()


def nested(depth: int = 2) -> nn.Sequential:
    """Layers within layers, and a batch norm."""
    torch.manual_seed(0)
    inner: nn.Module = nn.Linear(5, 7)
    for _ in range(depth - 1):
        inner = nn.Sequential(inner)
    return nn.Sequential(nn.Sequential(inner, nn.BatchNorm1d(7), nn.ReLU()), nn.Linear(7, 3))


def test_what_is_held_is_what_avalanche_holds(kind) -> None:
    model = nested(1)
    model[1].weight.requires_grad = False
    stock = SynapticIntelligencePlugin(1.0, excluded_parameters=["0.0.b*"])
    expected = stock.allowed_parameters(model, stock.excluded_parameters)
    held = kind(1.0, exclude=["0.0.b*"])._held(model)
    assert [name for name, _ in held] == [name for name, _ in expected] == ["0.0.weight", "1.bias"]


@pytest.mark.parametrize("excluded", ["0", "0.0", "1.weight", "*", "0.0.*", "1"])
def test_a_module_that_is_left_alone_is_avalanches_too(excluded, kind) -> None:
    model = nested()
    stock = SynapticIntelligencePlugin(1.0, excluded_parameters=[excluded])
    expected = stock.allowed_parameters(model, stock.excluded_parameters)
    assert [name for name, _ in kind(1.0, exclude=[excluded])._held(model)] == [name for name, _ in expected]


# What Avalanche's does


def test_si_without_importances_fault(benchmark_of, network_for, train_with) -> None:
    benchmark = benchmark_of()
    plugin = SynapticIntelligencePlugin(1000.0)
    stock = train_with(network_for(benchmark), benchmark, plugin)
    naive = train_with(network_for(benchmark), benchmark)
    assert flat(plugin.ewc_data[1]).abs().max() == 0
    assert all(torch.equal(a, b) for a, b in zip(stock.model.parameters(), naive.model.parameters(), strict=True))


def test_si_caps_importances_fault() -> None:
    """Above zero they are all alike, below zero they have no bound: shown on a weight that each path leads to."""
    model = nn.Linear(2, 1, bias=False)
    weight = {"weight": ParamData("weight", torch.Size([2]))}
    data = {key: deepcopy(weight) for key in ("old_theta", "new_theta", "grad", "trajectory", "cum_trajectory")}
    data["trajectory"]["weight"].data = torch.tensor([-5.0, 5.0])
    importance = deepcopy(weight)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="__array_wrap__", category=DeprecationWarning)
        SynapticIntelligencePlugin.update_ewc_data(model, (deepcopy(weight), importance), data, 0.001, set(), 1, 1e-3)
    lowered, raised = importance["weight"].data.tolist()
    assert lowered == pytest.approx(0.001)
    assert raised < -1


def test_si_warns_of_numpy_fault(benchmark_of, network_for) -> None:
    from lifelong import Setup

    benchmark = benchmark_of()
    model = network_for(benchmark)
    strategy = Setup(model, torch.optim.SGD(model.parameters(), 0.1)).naive(SynapticIntelligencePlugin(1.0))
    with pytest.warns(DeprecationWarning, match="__array_wrap__"):
        strategy.train(benchmark.train_stream[0])


def walks(plugin: Any, depth: int, one_step, monkeypatch) -> int:
    """How many layers a step looks at in its search for the weights that are held."""
    seen: list[int] = []
    original = nn.Module.named_modules

    def counted(module: nn.Module, *arguments: Any, **named: Any) -> Any:
        seen.append(0)  # it calls itself for each layer within
        return original(module, *arguments, **named)

    with monkeypatch.context() as patch:
        patch.setattr(nn.Module, "named_modules", counted)
        one_step(plugin, nested(depth))
    return len(seen)


def test_walks_through_the_layers_fault(kind, one_step, monkeypatch) -> None:
    """Avalanche's cost grows exponentially with the nesting of layers, ours as the number of layers."""
    (few, many), (least, most) = (
        [walks(make(0.3), depth, one_step, monkeypatch) for depth in (3, 9)]
        for make in (SynapticIntelligencePlugin, kind)
    )
    assert many > 10 * few
    assert most < 3 * least
