"""Random numbers that do not disturb training: its batches stay those of plain fine-tuning."""

from __future__ import annotations

from zlib import crc32

import torch
from torch import Generator, Tensor, nn

from lifelong.errors import UsageError
from lifelong.seeds import drawing_from


def own_generator(use: str) -> Generator:
    """Return a generator on the CPU, seeded by training's seed and by what it is used for."""
    return Generator().manual_seed(torch.initial_seed() ^ crc32(use.encode()))


def normal_like(tensor: Tensor, generator: Generator) -> Tensor:
    """Draw standard normal numbers of a tensor's shape, on the CPU, so that they are the same for every device."""
    return torch.randn(tensor.shape, generator=generator).to(tensor)


def check_drawable(module: nn.Module, what: str) -> None:
    """Check that all parameters of a module can be drawn again.

    Raises:
        UsageError: if a part of it that has parameters does not say how it draws them.
    """
    for part in module.modules():
        if any(True for _ in part.parameters(recurse=False)) and not hasattr(part, "reset_parameters"):
            raise UsageError(
                f"{what} cannot be drawn anew: {type(part).__name__} has parameters and no `reset_parameters`, as "
                "torch's layers have"
            )


def draw_anew(module: nn.Module, generator: Generator) -> None:
    """Draw all parameters of a module again, as the constructors of its parts draw them."""
    with drawing_from(generator):
        for part in module.modules():
            if callable(reset := getattr(part, "reset_parameters", None)):
                reset()
