"""The mean loss and accuracy over an epoch of training.

The sums stay tensors until the epoch ends, so that no batch makes the CPU wait for the device.
"""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor

from lifelong.plasticity.moment import Batch


class Averages:
    """Averages over the samples of an epoch what triggers read.

    Args:
        names: `loss`, `accuracy`, both or neither.

    Attributes:
        last: the means of the last epoch, by name; empty before the first epoch has ended.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._names = tuple(sorted(names))
        self._sums: dict[str, Tensor] = {}
        self._samples = 0
        self.last: dict[str, float] = {}

    def add(self, batch: Batch) -> None:
        """Add a batch to the sums; each of its samples has the same weight."""
        for name in self._names:
            value = getattr(batch, name) * len(batch.y)
            self._sums[name] = self._sums[name] + value if name in self._sums else value
        self._samples += len(batch.y)

    def close(self) -> None:
        """End the epoch: compute its means and start new sums."""
        self.last = {name: float(total) / self._samples for name, total in self._sums.items()}
        self._sums, self._samples = {}, 0
