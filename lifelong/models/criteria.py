"""What a scenario's outputs are compared with its targets by."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn
from torch.nn.functional import mse_loss


class SquaredError(nn.Module):
    """The mean squared error of one output for each sample."""

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """A scalar, from outputs of shape (n, 1) and targets of shape (n,)."""
        return mse_loss(output.squeeze(1), target.to(output.dtype))


CRITERIA: Mapping[str, type[nn.Module]] = {"cross-entropy": nn.CrossEntropyLoss, "squared error": SquaredError}
"""By the name that a scenario gives."""
