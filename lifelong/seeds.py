"""One seed for a run, and a generator of its own for each use, so that drawing more for one leaves the others alone."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from zlib import crc32

import numpy as np
import torch
from torch import Generator, Tensor


def derive(seed: int, use: str) -> int:
    """An independent 32-bit seed for one use of a run's seed."""
    return int(np.random.SeedSequence([seed, crc32(use.encode())]).generate_state(1)[0])


def seed_everything(seed: int, use: str) -> None:
    """Seed the global generators of Python, numpy and torch (all devices) for one use of a run's seed."""
    derived = derive(seed, use)
    random.seed(derived)
    np.random.seed(derived)
    torch.manual_seed(derived)


@dataclass(frozen=True)
class RandomState:
    """The states of the global generators of Python, numpy and torch."""

    python: Any
    numpy: Any
    cpu: Tensor
    cuda: list[Tensor]

    @classmethod
    def now(cls) -> RandomState:
        cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []  # type: ignore[no-untyped-call]
        return cls(random.getstate(), np.random.get_state(), torch.get_rng_state(), cuda)

    def restore(self) -> None:
        random.setstate(self.python)
        np.random.set_state(self.numpy)
        torch.set_rng_state(self.cpu)
        if self.cuda:
            torch.cuda.set_rng_state_all(self.cuda)


@contextmanager
def untouched_generators() -> Iterator[None]:
    """Whatever is drawn inside is as if it had not been drawn."""
    state = RandomState.now()
    try:
        yield
    finally:
        state.restore()


@contextmanager
def drawing_from(generator: Generator) -> Iterator[None]:
    """What torch draws inside follows from one number of a generator; all others are as if nothing had been drawn."""
    seed = int(torch.randint(2**62, (), generator=generator))
    with untouched_generators():
        torch.manual_seed(seed)
        yield
