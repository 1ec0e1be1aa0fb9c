"""Mends the pseudo-prototypical proxy loss (PPP loss) of continual prototype evolution (CoPE)."""

from __future__ import annotations

import math

import torch
from avalanche.training.plugins.cope import PPPloss
from torch import Tensor
from torch.nn.functional import logsigmoid


class WorkingPPPloss(PPPloss):
    """Mends Avalanche's `PPPloss`, which may be infinite.

    The loss takes the logarithm of one minus a probability. The probability rounds to one if a sample is close to the
    prototype of another class and far from its own, which happens where features have few dimensions. Then the loss is
    infinite, and the weights become NaN. Avalanche also goes through the classes of a batch one by one. Here everything
    is computed with logarithms of probabilities, for all classes at once, and the loss is finite for any batch.

    Let a be the prototype p_c of class c or a sample of it, x a sample of any class, both of length 1, and T the
    temperature. Then the probability that x belongs to c, seen from a, is::

        P(c | x; a) = exp(a x / T) / (exp(a x / T) + sum_{k != c} exp(p_k x / T))

    The loss of a batch is the sum of these terms, divided by the number of samples::

        - ln mean_a P(c | x; a)                        for each x of class c, over p_c and the other samples of c
        - ln (1 - (P(c | x; p_c) + P(c | x; a)) / 2)   for each x that is not of class c, and each sample a that is

    Gradients flow through x alone. The source is De Lange & Tuytelaars 2021, arXiv:2009.00919.
    """

    def __call__(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the loss of a batch, a scalar.

        Args:
            x: features of length 1, of shape (n, dimensions).
            y: their classes, int64, of shape (n,); each must have a prototype.
        """
        x = x.flatten(1)
        classes = sorted(self.p_mem)
        prototypes = torch.cat([self.p_mem[c] for c in classes]).to(x.device).detach()
        row = torch.searchsorted(torch.tensor(classes, device=x.device), y)
        to_prototypes = prototypes @ x.T / self.T  # (classes, n)
        # (n, n): at i, j the sum for sample j, over the prototypes that are not of i's class
        others = _log_sum_of_others(to_prototypes)[row]
        by_prototype = to_prototypes[row] - others
        by_sample = x.detach() @ x.T / self.T - others
        same = y[:, None] == y
        itself = torch.eye(len(y), dtype=torch.bool, device=x.device)
        attracted = torch.where(itself, logsigmoid(by_prototype), logsigmoid(by_sample))
        attraction = attracted.masked_fill(~same, -torch.inf).logsumexp(0) - same.sum(0).log()
        repelled = torch.logaddexp(logsigmoid(-by_prototype), logsigmoid(-by_sample)) - math.log(2)
        return -(attraction.sum() + repelled[~same].sum()) / len(y)


def _log_sum_of_others(similarities: Tensor) -> Tensor:
    """Return ln sum_{k != r} exp(s_k) for each row r of similarities s, of shape (rows, n)."""
    rows = len(similarities)
    lowest = torch.finfo(similarities.dtype).min  # not -inf: with a single row its gradient would be NaN
    own = torch.eye(rows, dtype=torch.bool, device=similarities.device)[:, :, None]
    return similarities.expand(rows, *similarities.shape).masked_fill(own, lowest).logsumexp(1)
