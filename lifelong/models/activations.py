"""Nonlinearities that keep a network able to learn, and that torch does not have."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class CReLU(nn.Module):
    """The concatenated rectifier: each unit gives its positive and its negative part, of which one has a gradient.

    Shang et al. 2016, Understanding and Improving Convolutional Neural Networks via Concatenated Rectified Linear
    Units, arXiv:1603.05201; against the loss of plasticity: Abbas et al. 2023, arXiv:2303.07507.

    >>> CReLU()(Tensor([[1.0, -2.0]]))
    tensor([[1., 0., 0., 2.]])
    """

    def forward(self, x: Tensor) -> Tensor:
        """Return the positive parts and then the negative ones, of shape (n, 2 * units, ...).

        Args:
            x: the units, of shape (n, units, ...).
        """
        return torch.relu(torch.cat([x, -x], dim=1))


class SmoothLeaky(nn.Module):
    """A leaky rectifier whose kink is smoothed: its slope rises from `slope`, far below zero, to 1 far above it.

    f(x) = slope * x + (1 - slope) * x * sigmoid(sharpness * x). Lillo & Cheney 2025, Activation Function Design
    Sustains Plasticity in Continual Learning, arXiv:2509.22562, equation 1, whose c / p is the sharpness; the defaults
    are those that the paper draws, c = 5 and p = 3.

    >>> SmoothLeaky()(Tensor([0.0, 100.0, -100.0]))
    tensor([  0., 100., -10.])

    Args:
        slope: the slope far below zero, in (0, 1).
        sharpness: how fast the slope rises, positive; without bound, it is the leaky rectifier.
    """

    def __init__(self, slope: float = 0.1, sharpness: float = 5 / 3) -> None:
        super().__init__()
        self.slope = slope
        self.sharpness = sharpness

    def forward(self, x: Tensor) -> Tensor:
        """Return a tensor of the shape of `x`."""
        return x * (self.slope + (1 - self.slope) * torch.sigmoid(self.sharpness * x))
