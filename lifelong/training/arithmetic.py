"""How a run computes: on one thread, to the same bits each time, and without denormal numbers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def arithmetic(device: str) -> Iterator[None]:
    """Compute as a run does, and afterwards as before.

    What is smaller than the smallest normal number (1.2e-38 in single precision) counts as zero. Gradients of a
    network that fits its data perfectly end there, and so do Adam's moments of units that are no longer used: a
    processor handles such numbers many times slower, and no update of a weight can feel them. Where a processor has no
    such mode (`torch.set_flush_denormal`), they are computed with.

    Args:
        device: where the network is; on another than `cpu`, torch is also asked for deterministic kernels, for good.
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
