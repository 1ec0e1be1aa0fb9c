"""Penalties that are cheaper than Avalanche's have its gradients, bit for bit."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from avalanche.training.plugins import EWCPlugin, MASPlugin, SynapticIntelligencePlugin, synaptic_intelligence
from avalanche.training.utils import ParamData
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from lifelong.workarounds.penalties import FastEWC, quadratic_penalty
from lifelong.workarounds.regularization import WorkingMAS, WorkingSI

EARLIER = 3
Known = dict[str, ParamData]


def network() -> nn.Sequential:
    """Layers within layers, and a batch norm."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Sequential(nn.Linear(5, 7), nn.BatchNorm1d(7), nn.ReLU()), nn.Linear(7, 3))


def drawn(model: nn.Module, *, flat: bool = False) -> Known:
    """A number from 0 to 1 for each weight."""
    values = {name: torch.rand_like(weight) for name, weight in model.named_parameters()}
    return {name: ParamData(name, init_tensor=v.flatten() if flat else v) for name, v in values.items()}


def ewc(kind: type[EWCPlugin], model: nn.Module, **how: Any) -> EWCPlugin:
    plugin = kind(0.3, **how)
    for experience in range(EARLIER):
        plugin.importances[experience], plugin.saved_params[experience] = drawn(model), drawn(model)
    del plugin.saved_params[0]["1.bias"]  # as where a head came later
    return plugin


def online(kind: type[EWCPlugin], model: nn.Module) -> EWCPlugin:
    return ewc(kind, model, mode="online", decay_factor=0.9)


def mas(kind: type[MASPlugin], model: nn.Module) -> MASPlugin:
    plugin = kind(0.7, 0.5)
    plugin.importance, plugin.params = drawn(model), drawn(model)
    return plugin


def si(kind: type[SynapticIntelligencePlugin], model: nn.Module) -> SynapticIntelligencePlugin:
    plugin = kind(0.3)
    plugin.ewc_data = (drawn(model, flat=True), drawn(model, flat=True))
    return plugin


PAIRS: dict[str, tuple[Callable[[Any, nn.Module], Any], type, type]] = {
    "ewc": (ewc, EWCPlugin, FastEWC),
    "online ewc": (online, EWCPlugin, FastEWC),
    "mas": (mas, MASPlugin, WorkingMAS),
    "si": (si, SynapticIntelligencePlugin, WorkingSI),
}


def step(make: Callable[[Any, nn.Module], Any], kind: type) -> tuple[Tensor, list[Tensor | None]]:
    """The loss with its penalty, and its gradients."""
    model = network()
    plugin = make(kind, model)
    loss = torch.zeros(1)
    loss += model(torch.randn(8, 5)).pow(2).mean()
    clock = SimpleNamespace(train_exp_counter=EARLIER)
    strategy = SimpleNamespace(model=model, loss=loss, clock=clock, device=torch.device("cpu"))
    plugin.before_backward(strategy)
    strategy.loss.backward()
    return strategy.loss.detach(), [weight.grad for weight in model.parameters()]


class Passes(TorchDispatchMode):
    """Counts the operations that write as many numbers as a certain weight has."""

    def __init__(self, shape: torch.Size) -> None:
        super().__init__()
        self.shape, self.count = shape, 0

    def __torch_dispatch__(self, operation: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = operation(*args, **(kwargs or {}))
        written = isinstance(result, Tensor) and result.shape in (self.shape, (self.shape.numel(),))
        self.count += written and not operation.is_view
        return result


def passes(make: Callable[[Any, nn.Module], Any], kind: type) -> int:
    with Passes(network()[0][0].weight.shape) as counted:
        step(make, kind)
    return counted.count


@pytest.mark.parametrize("name", PAIRS)
def test_penalty_in_many_passes_fault(name: str) -> None:
    make, stock, ours = PAIRS[name]
    assert passes(make, ours) < passes(make, stock)


@pytest.mark.parametrize("name", PAIRS)
def test_gradients_are_those_of_avalanche(name: str) -> None:
    make, stock, ours = PAIRS[name]
    (loss, gradients), (expected_loss, expected) = step(make, ours), step(make, stock)
    torch.testing.assert_close(loss, expected_loss)
    for one, other in zip(gradients, expected, strict=True):
        assert one is not None
        assert other is not None
        assert torch.equal(one, other)


def test_a_penalty_by_hand() -> None:
    """0.5 x (2 x (3 - 1)² + 4 x (3 - 2)²) = 6, whose derivative is 0.5 x (2 x 2 x 2 + 4 x 2 x 1) = 8."""
    weight = torch.tensor([3.0], requires_grad=True)
    springs = [(torch.tensor([2.0]), torch.tensor([1.0])), (torch.tensor([4.0]), torch.tensor([2.0]))]
    penalty = quadratic_penalty(0.5, [(weight, springs)])
    assert penalty.item() == 6
    (10 * penalty).backward()
    assert weight.grad is not None
    assert weight.grad.item() == 80


def test_nothing_that_is_held_costs_nothing() -> None:
    assert quadratic_penalty(0.5, [(torch.ones(2), [])]).item() == 0


def looked_for(kind: type, monkeypatch: pytest.MonkeyPatch) -> int:
    """How often a step of synaptic intelligence walks through the network's layers in search of weights."""
    model, walks = network(), []
    plugin = kind(0.3)
    strategy = SimpleNamespace(
        model=model,
        loss=torch.zeros(1),
        clock=SimpleNamespace(train_exp_counter=0),
        device=torch.device("cpu"),
    )
    plugin.before_training_exp(strategy)
    original = synaptic_intelligence.get_layers_and_params
    monkeypatch.setattr(synaptic_intelligence, "get_layers_and_params", lambda net: walks.append(0) or original(net))
    plugin.before_training_iteration(strategy)
    strategy.loss += model(torch.randn(8, 5)).pow(2).mean()
    plugin.before_backward(strategy)
    strategy.loss.backward()
    plugin.after_training_iteration(strategy)
    return len(walks)


def test_walks_through_the_layers_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    assert looked_for(SynapticIntelligencePlugin, monkeypatch) > 1


def test_no_walk_through_the_layers(monkeypatch: pytest.MonkeyPatch) -> None:
    assert looked_for(WorkingSI, monkeypatch) == 0


def test_what_is_held_is_what_avalanche_holds() -> None:
    model = network()
    model[1].weight.requires_grad = False
    plugin = WorkingSI(1.0, excluded_parameters=["0.0.b*"])
    expected = plugin.allowed_parameters(model, plugin.excluded_parameters)
    assert [name for name, _ in plugin._held(model)] == [name for name, _ in expected] == ["0.0.weight", "1.bias"]
