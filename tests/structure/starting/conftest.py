"""Networks with a squared error, for the initialisers that run a closure, and the layers they can try."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, settings
from torch import Tensor, nn

from lifelong.structure import Role, Structure
from lifelong.structure.holding.marks import tensor_of
from lifelong.structure.starting.trials import to_rows

settings.register_profile(
    "quick", max_examples=3, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)

_TRIED = [
    ("mlp", "0"), ("mlp-batchnorm", "3"), ("cnn-batchnorm", "0"), ("cnn-batchnorm", "4"), ("cnn-groupnorm", "4"),
    ("separable", "0"), ("residual", "1.conv1"), ("residual", "2.conv2"), ("dense", "one"), ("dense", "two"),
    ("transformer", "up"), ("heads", "features"), ("incremental", "0"),
]  # fmt: skip


@dataclass
class Setting:
    """A network with a batch and a squared error."""

    network: nn.Module
    inputs: tuple[Any, ...]
    targets: Tensor

    def outputs(self) -> Tensor:
        with torch.no_grad():
            return deepcopy(self.network).eval()(*self.inputs)

    def loss(self) -> Tensor:
        return (self.network(*self.inputs) - self.targets).square().mean()

    def structure(self) -> Structure:
        return Structure(self.network, *self.inputs)

    def fan_in_gradients(self, layer: str) -> Tensor:
        """Return the gradients that plain training would see, in eval mode, of shape (units, entries)."""
        network = deepcopy(self.network).eval()
        loss = (network(*self.inputs) - self.targets).square().mean()
        slots = self.structure().layer(layer).slots_of(Role.FAN_IN)
        gradients = torch.autograd.grad(loss, [tensor_of(network, slot.tensor) for slot in slots])
        rows = [
            to_rows(slot, gradient.index_select(slot.dim, slot.positions.flatten()))
            for slot, gradient in zip(slots, gradients, strict=True)
        ]
        return torch.cat(rows, dim=1)


@pytest.fixture(params=_TRIED, ids="-".join)
def tried(request: pytest.FixtureRequest) -> tuple[str, str]:
    """A network of the zoo and a layer of it whose units can be tried."""
    return request.param


@pytest.fixture
def squared_error() -> type[Setting]:
    """Makes a setting of any network, its inputs and targets."""
    return Setting


@pytest.fixture
def setting(zoo: dict[str, Any]) -> Callable[..., Setting]:
    """Makes a setting of a network of the zoo."""

    def make(name: str, samples: int = 12, seed: int = 0) -> Setting:
        network, inputs = zoo[name](seed), zoo[name].example(samples)
        with torch.no_grad():
            targets = torch.randn_like(deepcopy(network).eval()(*inputs))
        return Setting(network, inputs, targets)

    return make
