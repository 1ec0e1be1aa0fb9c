"""The modules of which the built-in networks consist, where torch has none that serve."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import pad


def conv3x3(incoming: int, outgoing: int, stride: int = 1) -> nn.Conv2d:
    """Return a 3 x 3 convolution without a bias, which keeps height and width where the stride is 1.

    Its weights are those of He et al. 2015, arXiv:1502.01852, equation 14: normal, with variance 2 / (9 * outgoing).
    """
    convolution = nn.Conv2d(incoming, outgoing, kernel_size=3, stride=stride, padding=1, bias=False)
    nn.init.kaiming_normal_(convolution.weight, mode="fan_out", nonlinearity="relu")
    return convolution


class ResidualBlock(nn.Module):
    """Two convolutions with batch normalisation, beside a shortcut without parameters.

    He et al. 2016, arXiv:1512.03385, Figure 2 and option A of section 4.2.

    Args:
        incoming: the channels of the input.
        outgoing: the channels of the result; the shortcut appends zeros where there are more.
        stride: the stride of the first convolution and of the shortcut.
    """

    def __init__(self, incoming: int, outgoing: int, stride: int) -> None:
        super().__init__()
        self.conv1 = conv3x3(incoming, outgoing, stride)
        self.bn1 = nn.BatchNorm2d(outgoing)
        self.conv2 = conv3x3(outgoing, outgoing)
        self.bn2 = nn.BatchNorm2d(outgoing)
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """Return a tensor of shape (n, outgoing, height / stride, width / stride)."""
        out = torch.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        if self.stride > 1 or out.shape[1] > x.shape[1]:
            x = pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, out.shape[1] - x.shape[1]))
        return torch.relu(out + x)


class LastStep(nn.Module):
    """A recurrent network, of whose states only the last is returned.

    Args:
        recurrent: a recurrent network of torch's, with `batch_first`.
    """

    def __init__(self, recurrent: nn.RNNBase) -> None:
        super().__init__()
        self.recurrent = recurrent

    def forward(self, x: Tensor) -> Tensor:
        """Return the state after the last step, of shape (n, units), from sequences of shape (n, steps, features)."""
        states: Tensor = self.recurrent(x)[0]
        return states[:, -1]
