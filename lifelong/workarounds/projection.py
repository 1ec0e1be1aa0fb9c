"""Mends strategies that project gradients so that they do not conflict with those of a memory (GEM and A-GEM)."""

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
"""What is added to the diagonal of the dual problem's matrix, as in the code of GEM's authors."""


class WorkingAGEM(AGEMPlugin):
    """Mends Avalanche's A-GEM (`AGEMPlugin`).

    - *The memory is read in one fixed order*, with a short batch at the end of each round, where the paper draws at
      random. Here each round is shuffled, and all batches have the same size.
    - *More experiences than samples in a batch raise* `ValueError`, because the batch is divided among the experiences.
      Here each experience gives at least one sample, and the batch is as large as that needs.
    - *The strategy cannot be pickled between experiences*, because it keeps a generator. That generator is made after
      each experience, and is started in the next one. So here a copy makes another, and draws the same batches.
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
    """Mends Avalanche's GEM (`GEMPlugin`), which needs a solver that is not installed.

    The solver is hard-coded to be quadprog, which avalanche-lib does not install: training raises `SolverNotFound` at
    the first gradient that conflicts with a memory. Here the quadratic programme is solved with SciPy (see
    `dual_weights`).
    """

    def solve_quadprog(self, g: Tensor) -> Tensor:
        """Return the gradient plus the smallest sum of memory gradients that ends its conflicts with all of them.

        Args:
            g: the gradient, of shape (parameters,).

        Returns:
            The projected gradient, of the same shape and type.
        """
        memories = self.G.detach().cpu().double().numpy()
        gradient = g.detach().cpu().double().numpy()
        weights = dual_weights(memories, gradient, self.memory_strength)
        return torch.from_numpy(weights @ memories + gradient).to(g.dtype)


def dual_weights(memories: np.ndarray, gradient: np.ndarray, least: float) -> np.ndarray:
    """Return the v >= `least` that minimises v'Pv / 2 + (Gg)'v, where P = GG' + 0.001 I: the dual of GEM's problem.

    With P = LL' (Cholesky) and u = v - least, this is the u >= 0 that minimises the norm of L'u + b, where
    Lb = Gg + least P 1. That is a problem of non-negative least squares, which is solved exactly.

    The problem is from Lopez-Paz & Ranzato 2017 (GEM), arXiv:1706.08840; the ridge of 0.001 is from the authors' code.

    >>> dual_weights(np.array([[1.0, 0.0]]), np.array([-2.002, 1.0]), 0.0).round(6).tolist()
    [2.0]

    Args:
        memories: G, the gradients on the memories, of shape (experiences, parameters).
        gradient: g, the gradient of the current batch, of shape (parameters,).
        least: the least weight, at least 0; the paper's gamma.

    Returns:
        The weights v, of shape (experiences,).
    """
    P = memories @ memories.T + RIDGE * np.eye(len(memories))
    L = cholesky(P, lower=True)
    b = solve_triangular(L, memories @ gradient + least * P.sum(axis=1), lower=True)
    u: np.ndarray = nnls(L.T, -b)[0]
    return u + least
