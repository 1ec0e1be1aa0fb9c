"""Images made to fit a network that was designed for others: of three channels, and of another size."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import interpolate

from lifelong.errors import UsageError


class Fitted(nn.Module):
    """A network for images of three channels, behind what makes an image fit.

    Args:
        network: the network.
        size: the side in pixels to which images are resized; None keeps them as they are.
    """

    def __init__(self, network: nn.Module, size: int | None) -> None:
        super().__init__()
        self.network = network
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        """Return what the network makes of images of shape (n, 1 or 3, height, width)."""
        if self.size is not None:
            x = interpolate(x, (self.size, self.size), mode="bilinear", antialias=self.size < max(x.shape[2:]))
        features: Tensor = self.network(x.expand(-1, 3, -1, -1))
        return features


def fits(input_shape: tuple[int, ...], size: int | None) -> bool:
    """Tell whether images fit as they are: three channels, of the size that is asked for.

    Raises:
        UsageError: if samples are no images of one or three channels.
    """
    if len(input_shape) != 3 or input_shape[0] not in (1, 3):
        raise UsageError(f"it reads images of one or three channels, not samples of shape {tuple(input_shape)}")
    return input_shape[0] == 3 and size in (None, input_shape[1]) and size in (None, input_shape[2])
