"""The losses that compare a network's outputs with a scenario's targets."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import mse_loss

from lifelong.contracts import Criterion
from lifelong.errors import UsageError


class SquaredError(nn.Module):
    """The mean squared error of the outputs for each sample: of one number, or of several."""

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the mean over samples and outputs, a scalar.

        Outputs and targets of other shapes would be broadcast against each other, and the network would learn the mean
        of the targets.

        >>> SquaredError()(Tensor([[1.0], [2.0]]), Tensor([1.0, 4.0]))
        tensor(2.)

        Args:
            output: the outputs, of shape (n, k).
            target: the targets, of shape (n, k); or (n,) where k is 1.

        Raises:
            UsageError: if there are not as many targets as outputs.
        """
        if output.numel() != target.numel() or len(output) != len(target):
            raise UsageError(
                f"outputs of shape {tuple(output.shape)} do not fit targets of shape {tuple(target.shape)}: "
                "there must be as many outputs for each sample as targets"
            )
        return mse_loss(output.flatten(), target.flatten().to(output.dtype))


def make_criterion(name: Criterion, label_smoothing: float = 0.0) -> nn.Module:
    """Return the loss of the name that a scenario gives.

    Args:
        name: `cross-entropy` or `squared error`.
        label_smoothing: the share of each target that is spread over all classes, in [0, 1).
    """
    return SquaredError() if name == "squared error" else nn.CrossEntropyLoss(label_smoothing=label_smoothing)
