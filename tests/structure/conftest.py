"""A zoo of small networks, one for each way in which sizes can depend on each other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from avalanche.models import IncrementalClassifier
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Optimizer

from lifelong.models.networks.convolutional import cnn
from lifelong.models.networks.residual import slim_resnet18


class Block(nn.Module):
    """A residual block with a projection, as in a residual network."""

    def __init__(self, incoming: int, outgoing: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(incoming, outgoing, 3, padding=1, bias=False), nn.BatchNorm2d(outgoing)
        self.conv2, self.bn2 = nn.Conv2d(outgoing, outgoing, 3, padding=1, bias=False), nn.BatchNorm2d(outgoing)
        self.shortcut = nn.Conv2d(incoming, outgoing, 1) if incoming != outgoing else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        hidden = functional.relu(self.bn1(self.conv1(x)))
        hidden = self.bn2(self.conv2(hidden))
        hidden += self.shortcut(x)
        return functional.relu(hidden)


class Dense(nn.Module):
    """Concatenation: what is made first is read twice, at different places."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 5, 3, padding=1)
        self.three, self.head = nn.Conv2d(9, 6, 1), nn.Linear(15, 3)

    def forward(self, x: Tensor) -> Tensor:
        one = functional.relu(self.one(x))
        two = functional.relu(self.two(one))
        three = functional.relu(self.three(torch.cat([one, two], 1)))
        return self.head(torch.cat([one, two, three], 1).mean((2, 3)))


class Transformer(nn.Module):
    """A pre-norm encoder block with a class token, as in a vision transformer."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.token = nn.Linear(6, 8), nn.Parameter(torch.randn(1, 1, 8))
        self.norm1, self.attention = nn.LayerNorm(8), nn.MultiheadAttention(8, 4, batch_first=True)
        self.norm2, self.up, self.down = nn.LayerNorm(8), nn.Linear(8, 12), nn.Linear(12, 8)
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.cat([self.token.expand(len(x), -1, -1), self.embed(x)], 1)
        y = self.norm1(x)
        x = x + self.attention(y, y, y, need_weights=False)[0]
        x = x + self.down(functional.gelu(self.up(self.norm2(x))))
        return self.head(x[:, 0])


class Heads(nn.Module):
    """A head for each task, of which a forward pass runs one."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Linear(6, 7)
        self.heads = nn.ModuleDict({str(task): nn.Linear(7, 2 + task) for task in range(3)})

    def forward(self, x: Tensor, task: int) -> Tensor:
        return self.heads[str(task)](functional.relu(self.features(x)))


class Tied(nn.Module):
    """A decoder that reads with the encoder's weights."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.bias = nn.Linear(6, 5), nn.Parameter(torch.zeros(6))

    def forward(self, x: Tensor) -> Tensor:
        return functional.linear(torch.tanh(self.encoder(x)), self.encoder.weight.t(), self.bias)


class Loop(nn.Module):
    """A residual layer that reads and makes the same units."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.inner, self.last = nn.Linear(6, 5), nn.Linear(5, 5), nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.tanh(self.first(x))
        return self.last(x + torch.tanh(self.inner(x)))


def _mlp(*between: Callable[[int], nn.Module]) -> nn.Module:
    layers: list[nn.Module] = []
    for incoming, outgoing in ((6, 5), (5, 7)):
        layers += [nn.Linear(incoming, outgoing), *(make(outgoing) for make in between)]
    return nn.Sequential(*layers, nn.Linear(7, 3))


def _convolutional(norm: Callable[[int], nn.Module]) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), norm(4), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(4, 6, 3, padding=1), norm(6), nn.ReLU(), nn.AdaptiveAvgPool2d(2),
        nn.Flatten(), nn.Linear(24, 5), nn.ReLU(), nn.Linear(5, 3),
    )  # fmt: skip


def _separable() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 4, 1), nn.ReLU6(), nn.Conv2d(4, 8, 3, padding=1, groups=4), nn.BatchNorm2d(8), nn.ReLU6(),
        nn.Conv2d(8, 5, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(5, 3),
    )  # fmt: skip


def _grouped() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 6, 3), nn.ReLU(), nn.Conv2d(6, 8, 3, groups=2), nn.ReLU(), nn.Flatten(), nn.Linear(32, 3)
    )


def _upsampling() -> nn.Module:
    return nn.Sequential(
        nn.Conv1d(3, 4, 3), nn.PReLU(4), nn.ConvTranspose1d(4, 5, 2, stride=2), nn.BatchNorm1d(5), nn.Tanh(),
        nn.AdaptiveAvgPool1d(2), nn.Flatten(), nn.Linear(10, 3),
    )  # fmt: skip


@dataclass(frozen=True)
class Animal:
    """How to make a network, and what it is called with."""

    make: Callable[[], nn.Module]
    inputs: Callable[[int], tuple[Any, ...]]

    def __call__(self, seed: int = 0, dtype: torch.dtype = torch.float32) -> nn.Module:
        """Return the network with the weights of a seed, and normalisation whose statistics are not the first ones."""
        torch.manual_seed(seed)
        network = self.make().to(dtype)
        for name, tensor in [*network.named_parameters(), *network.named_buffers()]:
            if "running_var" in name:
                tensor.data.uniform_(0.5, 2)
            elif tensor.is_floating_point() and tensor.dim() == 1:
                tensor.data.normal_()
        return network

    def example(self, samples: int = 4, seed: int = 1, dtype: torch.dtype = torch.float32) -> tuple[Any, ...]:
        """Return inputs of the network."""
        torch.manual_seed(seed)
        return tuple(value.to(dtype) if isinstance(value, Tensor) else value for value in self.inputs(samples))


def _rows(samples: int) -> tuple[Tensor]:
    return (torch.randn(samples, 6),)


def _images(size: int) -> Callable[[int], tuple[Tensor]]:
    return lambda samples: (torch.randn(samples, 3, size, size),)


_ZOO = {
    "mlp": Animal(lambda: _mlp(lambda _: nn.ReLU()), _rows),
    "mlp-batchnorm": Animal(lambda: _mlp(nn.BatchNorm1d, lambda _: nn.GELU()), _rows),
    "mlp-layernorm": Animal(lambda: _mlp(nn.LayerNorm, lambda _: nn.ReLU()), _rows),
    "cnn-batchnorm": Animal(lambda: _convolutional(nn.BatchNorm2d), _images(8)),
    "cnn-groupnorm": Animal(lambda: _convolutional(lambda width: nn.GroupNorm(2, width)), _images(8)),
    "cnn-instancenorm": Animal(lambda: _convolutional(lambda width: nn.GroupNorm(width, width)), _images(8)),
    "separable": Animal(_separable, _images(6)),
    "grouped": Animal(_grouped, _images(6)),
    "upsampling": Animal(_upsampling, lambda samples: (torch.randn(samples, 3, 7),)),
    "residual": Animal(
        lambda: nn.Sequential(
            nn.Conv2d(3, 4, 3), Block(4, 4), Block(4, 6), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 3)
        ),
        _images(6),
    ),
    "dense": Animal(Dense, _images(5)),
    "transformer": Animal(Transformer, lambda samples: (torch.randn(samples, 3, 6),)),
    "heads": Animal(Heads, lambda samples: (torch.randn(samples, 6), 1)),
    "incremental": Animal(
        lambda: nn.Sequential(nn.Linear(6, 5), nn.ReLU(), IncrementalClassifier(5, 4, masking=False)), _rows
    ),
    "tied": Animal(Tied, _rows),
    "loop": Animal(Loop, _rows),
    "own-cnn": Animal(lambda: nn.Sequential(cnn((3, 8, 8), channels=(4, 6), widths=(5,)), nn.Linear(5, 3)), _images(8)),
    "own-resnet": Animal(lambda: nn.Sequential(slim_resnet18((3, 8, 8), width=2), nn.Linear(16, 3)), _images(8)),
}


@pytest.fixture(scope="session")
def zoo() -> dict[str, Animal]:
    """Return the networks by name."""
    return _ZOO


@pytest.fixture(scope="session")
def train() -> Callable[..., None]:
    """Makes steps with gradients that depend on the weights, so that a difference would grow."""

    def steps_of(parameters: list[Tensor], optimizer: Optimizer, steps: int, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        for _ in range(steps):
            for parameter in parameters:
                slope, shift = torch.randn(2, *parameter.shape, generator=generator, dtype=torch.float64)
                parameter.grad = (slope.abs() * parameter.detach() + shift).to(parameter.dtype)
            optimizer.step()

    return steps_of


@pytest.fixture(autouse=True)
def _reproducible() -> Iterator[None]:
    torch.manual_seed(0)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
