"""Activations that begin as the identity, and learn how nonlinear to be."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import Parameter


class TwoSlopes(nn.Module):
    """Computes f(x) = a x for x >= 0 and b x for x < 0, with learnable slopes a and b that begin at 1."""

    def __init__(self) -> None:
        super().__init__()
        self.above = Parameter(torch.tensor(1.0))
        self.below = Parameter(torch.tensor(1.0))

    def forward(self, x: Tensor) -> Tensor:
        """Return a tensor of the input's shape."""
        return self.above * x.clamp(min=0) + self.below * x.clamp(max=0)


def replace_rectifiers(network: nn.Module) -> list[Parameter]:
    """Replace each `nn.ReLU` by `TwoSlopes`, under its name.

    Returns:
        The new parameters, on the network's device.
    """
    names = [name for name, module in network.named_modules() if isinstance(module, nn.ReLU)]
    like = next(network.parameters(), torch.empty(0))
    for name in names:
        network.set_submodule(name, TwoSlopes().to(like.device, like.dtype))
    return [parameter for name in names for parameter in network.get_submodule(name).parameters()]
