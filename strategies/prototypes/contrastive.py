"""The network that supervised contrastive replay trains, and the views of a sample that it compares."""

from __future__ import annotations

import torch
from avalanche.models import SCRModel
from torch import Tensor, nn
from torch.nn.functional import affine_grid, grid_sample, normalize

from lifelong.models.parts import Parts

from .class_statistics import NearestMean


class Projection(nn.Sequential):
    """Maps features, by two layers, to vectors of length one, which are compared in training."""

    def __init__(self, width: int, outputs: int) -> None:
        super().__init__(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, outputs))

    def forward(self, features: Tensor) -> Tensor:
        """Map features of shape (n, width) to vectors of shape (n, outputs)."""
        for layer in self:
            features = layer(features)
        return normalize(features)


class ContrastiveNetwork(SCRModel):
    """Puts a projection on a network's features in training, and class means on them, of length one, to answer.

    Args:
        parts: parts of the network; its classifier is not used.
        projected: number of outputs of the projection.
    """

    def __init__(self, parts: Parts, projected: int) -> None:
        super().__init__(parts.features, Projection(parts.width, projected))
        self.ncm = self.eval_classifier = NearestMean(parts.outputs, parts.width, unit=True)


class Crops(nn.Module):
    """Makes another view of each sample: a random part of an image, enlarged to its size, or other input with noise.

    Args:
        least: the smallest share of an image's area.
        flip: whether half of the images are mirrored.
        noise: standard deviation of the noise on samples that are not images.
    """

    def __init__(self, least: float, flip: bool, noise: float) -> None:
        super().__init__()
        self.least, self.flip, self.noise = least, flip, noise

    def forward(self, x: Tensor) -> Tensor:
        """Return as many samples of the same shape."""
        if x.dim() != 4:
            return x + self.noise * torch.randn_like(x)
        n = len(x)
        side = torch.empty(n, device=x.device).uniform_(self.least, 1).sqrt()
        place = (2 * torch.rand(n, 2, device=x.device) - 1) * (1 - side)[:, None]
        mirrored = torch.where(torch.rand(n, device=x.device) < 0.5, -1.0, 1.0) if self.flip else torch.ones_like(side)
        onto = torch.zeros(n, 2, 3, device=x.device)
        onto[:, 0, 0], onto[:, 1, 1], onto[:, :, 2] = side * mirrored, side, place
        return grid_sample(
            x, affine_grid(onto, list(x.shape), align_corners=False), align_corners=False, padding_mode="border"
        )
