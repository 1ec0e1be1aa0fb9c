"""Gradients that are projected, so that they do not conflict with those of a memory (GEM, A-GEM)."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from avalanche.benchmarks.utils.data_loader import GroupBalancedInfiniteDataLoader
from avalanche.training.plugins import AGEMPlugin, GEMPlugin
from scipy.linalg import cholesky, solve_triangular
from scipy.optimize import nnls
from torch import Tensor

RIDGE = 1e-3
"""Added to the diagonal of the dual problem's matrix, as in the authors' code."""


class WorkingAGEM(AGEMPlugin):
    """Is A-GEM that draws its memory at random, in batches of one size, and can be pickled between experiences.

    Faults: Avalanche reads its memory in one fixed order, with a short batch at the end of each round; the paper draws
    at random. It raises an error when there are more experiences than samples in a batch. It keeps a running generator,
    which cannot be pickled. Here the generator is made anew after each experience and not started before the next, so
    that a pickled copy can make a new one and goes on with the same batches.
    """

    def update_memory(self, dataset: Any, num_workers: int = 0, **kwargs: Any) -> None:
        super().update_memory(dataset, num_workers, **kwargs)
        share = max(1, self.sample_size // len(self.buffers))
        self.buffer_dataloader = GroupBalancedInfiniteDataLoader(
            self.buffers, batch_size=min(share, *map(len, self.buffers)), shuffle=True, drop_last=True
        )
        self.buffer_dliter = iter(self.buffer_dataloader)

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in vars(self).items() if key != "buffer_dliter"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.buffer_dliter = iter(self.buffer_dataloader or ())


class WorkingGEM(GEMPlugin):
    """Is GEM that solves its quadratic programme with what is installed.

    Fault: the solver is hard-coded to be quadprog, which avalanche-lib does not install.
    """

    def solve_quadprog(self, g: Tensor) -> Tensor:
        """Return the gradient plus the least sum of memory gradients with which it conflicts with none.

        Args:
            g: the gradient, of shape (parameters,).
        """
        memories = self.G.detach().cpu().double().numpy()
        gradient = g.detach().cpu().double().numpy()
        weights = dual_weights(memories, gradient, self.memory_strength)
        return torch.from_numpy(weights @ memories + gradient).to(g.dtype)


def dual_weights(memories: np.ndarray, gradient: np.ndarray, least: float) -> np.ndarray:
    """Return the v >= `least` that minimises v'Pv / 2 + (Gg)'v, where P = GG' + 0.001 I: the dual of GEM's problem.

    With P = LL' and u = v - least, it is the u >= 0 that minimises |L'u + b|, where Lb = Gg + least P 1: non-negative
    least squares, which are solved exactly.

    Args:
        memories: G, with one gradient in each row, of shape (experiences, parameters).
        gradient: g, of shape (parameters,).
        least: the least weight, the paper's gamma.

    Returns:
        Weights of shape (experiences,).
    """
    P = memories @ memories.T + RIDGE * np.eye(len(memories))
    L = cholesky(P, lower=True)
    b = solve_triangular(L, memories @ gradient + least * P.sum(axis=1), lower=True)
    u: np.ndarray = nnls(L.T, -b)[0]
    return u + least
