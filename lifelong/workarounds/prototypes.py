"""A loss on prototypes (CoPE)."""

from __future__ import annotations

import math

import torch
from avalanche.training.plugins.cope import PPPloss
from torch import Tensor
from torch.nn.functional import logsigmoid


class WorkingPPPloss(PPPloss):
    """Is the pseudo-prototypical proxy loss, finite for any batch, and computed for all its classes at once.

    Faults: Avalanche takes the logarithm of one minus a probability. That probability rounds to one where a sample lies
    close to another class's prototype and far from its own, which happens in few dimensions. Then the loss is infinite,
    and weights become NaN. Avalanche also goes through the classes of a batch one by one. Here all is computed at once,
    with logarithms of probabilities.

    With a the prototype p_c or a sample of class c, and x a sample of any class, both of length 1, and temperature T,

        P(c | x; a) = exp(a x / T) / (exp(a x / T) + sum_{k != c} exp(p_k x / T))

    The loss of the batch is the sum, over its number of samples, of

        - ln mean_a P(c | x; a)                        for each x of class c, over p_c and the other samples of c
        - ln (1 - (P(c | x; p_c) + P(c | x; a)) / 2)   for each x that is not of class c, and each sample a that is

    (De Lange & Tuytelaars 2021, arXiv:2009.00919; gradients flow through x alone).
    """

    def __call__(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the loss of samples x, of shape (n, dimensions) and length 1, whose classes y all have prototypes."""
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
    """Return for each row the logarithm of the sum of the exponentials of all other rows, of shape (rows, n)."""
    rows = len(similarities)
    lowest = torch.finfo(similarities.dtype).min  # not -inf: with a single row its gradient would be NaN
    own = torch.eye(rows, dtype=torch.bool, device=similarities.device)[:, :, None]
    return similarities.expand(rows, *similarities.shape).masked_fill(own, lowest).logsumexp(1)
