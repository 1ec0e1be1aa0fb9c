"""How a run computes: on one thread, with the same bits each time, and without denormal numbers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def arithmetic(device: str) -> Iterator[None]:
    """Let torch compute as a run does inside a `with` block, and as before afterwards.

    Numbers smaller than the smallest normal number (1.2e-38 in single precision) count as zero. The gradients of a
    network that fits its data perfectly become so small, and so do Adam's moments of units that are no longer used. A
    processor handles such numbers many times slower, and they are too small to change a weight. A processor that has no
    such mode (see `torch.set_flush_denormal`) computes with them.

    Args:
        device: the device that the network is on. If it is not `cpu`, torch is also asked for deterministic kernels,
            and this stays so afterwards.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    if device != "cpu":
        torch.use_deterministic_algorithms(True, warn_only=True)
        torch.backends.cudnn.benchmark = False
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)
        torch.set_num_threads(threads)
