"""Strategies train networks of double and of half precision, whose weights keep their type."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from lifelong import Budget, load_scenario, load_strategy

NAMES = [
    *("naive", "ewc", "online-ewc", "si", "mas", "rwalk", "lwf", "lfl", "replay", "der"),
    *("dropin", "redo", "continual-backprop"),
]


class To(nn.Module):
    """Gives samples the type of the weights."""

    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()
        self.dtype = dtype

    def forward(self, x: Tensor) -> Tensor:
        return x.to(self.dtype)


class Network(nn.Module):
    def __init__(self, inputs: int, outputs: int, dtype: torch.dtype) -> None:
        super().__init__()
        self.features = nn.Sequential(To(dtype), nn.Flatten(), nn.Linear(inputs, 8), nn.ReLU())
        self.classifier = nn.Linear(8, outputs)
        self.to(dtype)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.features(x))
        return logits


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16], ids=["float64", "bfloat16"])
@pytest.mark.parametrize("name", NAMES)
def test_two_experiences_are_trained(name: str, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    stream = load_scenario("toy").train_stream
    x = torch.as_tensor(stream[0].dataset[0][0])[None]
    network = Network(x.numel(), 6, dtype)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01)
    budget = Budget(epochs=1, batch_size=16)
    given = {"ewc_lambda": 1.0} if name in ("ewc", "online-ewc", "rwalk") else {}
    trained = load_strategy(name, network, optimizer, budget=budget, inputs=(x,), **given)
    before = network.classifier.bias.detach().clone()
    for experience in list(stream)[:2]:
        trained.train(experience)
    weights = list(trained.model.parameters())
    assert all(weight.dtype is dtype and bool(torch.isfinite(weight).all()) for weight in weights)
    assert not torch.equal(trained.model.classifier.bias, before)
