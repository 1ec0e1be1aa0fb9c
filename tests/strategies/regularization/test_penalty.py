"""The quadratic penalty is cheaper than Avalanche's, and has its gradients, bit for bit."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from avalanche.training.plugins import EWCPlugin, MASPlugin, SynapticIntelligencePlugin
from avalanche.training.utils import ParamData
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

EARLIER = 3
Weights = dict[str, Tensor]


def network() -> nn.Sequential:
    """Layers within layers, and a batch norm."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Sequential(nn.Linear(5, 7), nn.BatchNorm1d(7), nn.ReLU()), nn.Linear(7, 3))


def drawn(model: nn.Module) -> Weights:
    """A number from 0 to 1 for each weight."""
    return {name: torch.rand_like(weight) for name, weight in model.named_parameters()}


def as_avalanche(values: Weights, flat: bool = False) -> dict[str, ParamData]:
    return {name: ParamData(name, init_tensor=v.flatten() if flat else v) for name, v in values.items()}


def earlier(model: nn.Module) -> tuple[list[Weights], list[Weights]]:
    """Importances and anchors of each earlier experience."""
    pairs = [(drawn(model), drawn(model)) for _ in range(EARLIER)]
    del pairs[0][1]["1.bias"]  # as where a head came later
    return [importance for importance, _ in pairs], [anchor for _, anchor in pairs]


def ewc(model: nn.Module, ours: Any, online: bool = False) -> tuple[Any, Any]:
    mode = ("online", 0.9) if online else ()
    stock, plugin = EWCPlugin(0.3, *mode), ours("elastic_weight_consolidation", "EWC")(0.3, *mode)
    importances, anchors = earlier(model)
    stock.importances = dict(enumerate(map(as_avalanche, importances)))
    stock.saved_params = dict(enumerate(map(as_avalanche, anchors)))
    first = EARLIER - 1 if online else 0
    plugin.fisher, plugin.anchors = importances[first:], anchors[first:]
    return stock, plugin


def online(model: nn.Module, ours: Any) -> tuple[Any, Any]:
    return ewc(model, ours, online=True)


def mas(model: nn.Module, ours: Any) -> tuple[Any, Any]:
    stock, plugin = MASPlugin(0.7, 0.5), ours("memory_aware_synapses", "MemoryAwareSynapses")(0.7, 0.5)
    plugin.importance, plugin.anchor = drawn(model), drawn(model)
    stock.importance, stock.params = as_avalanche(plugin.importance), as_avalanche(plugin.anchor)
    return stock, plugin


def si(model: nn.Module, ours: Any) -> tuple[Any, Any]:
    stock, plugin = SynapticIntelligencePlugin(0.3), ours("synaptic_intelligence", "SynapticIntelligence")(0.3)
    plugin.anchor, plugin.importance = drawn(model), drawn(model)
    stock.ewc_data = as_avalanche(plugin.anchor, flat=True), as_avalanche(plugin.importance, flat=True)
    return stock, plugin


Make = Callable[[nn.Module, Any], tuple[Any, Any]]
PAIRS: dict[str, Make] = {"ewc": ewc, "online ewc": online, "mas": mas, "si": si}
STOCK, OURS = 0, 1


def step(make: Make, which: int, ours: Any) -> tuple[Tensor, list[Tensor | None]]:
    """The loss with its penalty, and its gradients."""
    model = network()
    plugin = make(model, ours)[which]
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


def passes(make: Make, which: int, ours: Any) -> int:
    with Passes(network()[0][0].weight.shape) as counted:
        step(make, which, ours)
    return counted.count


@pytest.mark.parametrize("name", PAIRS)
def test_penalty_in_many_passes_fault(name: str, ours: Any) -> None:
    assert passes(PAIRS[name], OURS, ours) < passes(PAIRS[name], STOCK, ours)


@pytest.mark.parametrize("name", PAIRS)
def test_gradients_are_those_of_avalanche(name: str, ours: Any) -> None:
    (loss, gradients), (expected_loss, expected) = (step(PAIRS[name], which, ours) for which in (OURS, STOCK))
    torch.testing.assert_close(loss, expected_loss)
    for one, other in zip(gradients, expected, strict=True):
        assert one is not None
        assert other is not None
        assert torch.equal(one, other)


def test_a_penalty_by_hand(ours: Any) -> None:
    """0.5 x (2 x (3 - 1)² + 4 x (3 - 2)²) = 6, whose derivative is 0.5 x (2 x 2 x 2 + 4 x 2 x 1) = 8."""
    weight = torch.tensor([3.0], requires_grad=True)
    springs = [(torch.tensor([2.0]), torch.tensor([1.0])), (torch.tensor([4.0]), torch.tensor([2.0]))]
    penalty = ours("penalty", "quadratic_penalty")(0.5, [(weight, springs)])
    assert penalty.item() == 6
    (10 * penalty).backward()
    assert weight.grad is not None
    assert weight.grad.item() == 80


def test_nothing_that_is_held_costs_nothing(ours: Any) -> None:
    assert ours("penalty", "quadratic_penalty")(0.5, [(torch.ones(2), [])]).item() == 0


def test_what_has_grown_is_padded_with_zeros(ours: Any) -> None:
    padded, values = ours("penalty", "padded"), torch.tensor([[1.0, 2.0]])
    assert padded(values, torch.ones(2, 3)).tolist() == [[1, 2, 0], [0, 0, 0]]
    assert padded(values, torch.ones(1, 2)) is values
