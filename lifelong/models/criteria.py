"""The losses that compare a network's outputs with a scenario's targets."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn
from torch.nn.functional import mse_loss


class SquaredError(nn.Module):
    """The mean squared error of one output for each sample."""

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the mean over the samples, a scalar.

        >>> SquaredError()(Tensor([[1.0], [2.0]]), Tensor([1.0, 4.0]))
        tensor(2.)

        Args:
            output: the outputs, of shape (n, 1).
            target: the targets, of shape (n,).
        """
        return mse_loss(output.squeeze(1), target.to(output.dtype))


CRITERIA: Mapping[str, type[nn.Module]] = {"cross-entropy": nn.CrossEntropyLoss, "squared error": SquaredError}
"""The losses by the name that a scenario gives."""
