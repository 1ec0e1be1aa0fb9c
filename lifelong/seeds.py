"""One seed for a run, and a generator of its own for each use: drawing more numbers for one use changes no other."""

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
    """Return an independent 32-bit seed for one use of a run's seed.

    Args:
        seed: the run's seed, at least 0.
        use: what the numbers are for.

    >>> derive(0, "initial weights"), derive(0, "training"), derive(1, "training")
    (3351603044, 3174584095, 3835230905)
    """
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
        """Read the states as they are."""
        cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []  # type: ignore[no-untyped-call]
        return cls(random.getstate(), np.random.get_state(), torch.get_rng_state(), cuda)

    def restore(self) -> None:
        """Put the states back."""
        random.setstate(self.python)
        np.random.set_state(self.numpy)
        torch.set_rng_state(self.cpu)
        if self.cuda:
            torch.cuda.set_rng_state_all(self.cuda)


@contextmanager
def untouched_generators() -> Iterator[None]:
    """Draw inside as if nothing had been drawn: afterwards the global generators are as before."""
    state = RandomState.now()
    try:
        yield
    finally:
        state.restore()


@contextmanager
def drawing_from(generator: Generator) -> Iterator[None]:
    """Draw inside from torch's global generator, seeded by one number of another generator.

    Afterwards the global generators of Python, numpy and torch are as before.

    Args:
        generator: the generator that gives the seed. One number is drawn from it.
    """
    seed = int(torch.randint(2**62, (), generator=generator))
    with untouched_generators():
        torch.manual_seed(seed)
        yield
