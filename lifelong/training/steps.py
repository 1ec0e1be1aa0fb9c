"""How an update is made, where a budget asks for more than the optimizer's step: Avalanche plug-ins."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from avalanche.core import SupervisedPlugin
from torch.nn.utils import clip_grad_norm_

from lifelong.records.spec import Budget


def steps_of(budget: Budget) -> Iterator[SupervisedPlugin]:
    """Yield the plug-ins that a budget asks for; none for a budget that asks for nothing. Put them after all others."""
    if budget.clip_norm is not None:
        yield ClippedGradients(budget.clip_norm)
    if budget.renew_optimizer:
        yield RenewedOptimizer()


class ClippedGradients(SupervisedPlugin):
    """Scales the whole gradient down before an update where its norm is larger than allowed.

    Pascanu et al. 2013, On the difficulty of training recurrent neural networks, arXiv:1211.5063, Algorithm 1.

    Args:
        norm: the largest Euclidean norm of the gradient of all weights together, positive.
    """

    def __init__(self, norm: float) -> None:
        super().__init__()
        self.norm = norm

    def before_update(self, strategy: Any, **_: object) -> None:
        clip_grad_norm_(strategy.model.parameters(), self.norm)


class RenewedOptimizer(SupervisedPlugin):
    """Empties the optimizer's state before each experience, such as the moments of Adam and their counts of steps."""

    def before_training_exp(self, strategy: Any, **_: object) -> None:
        strategy.optimizer.state.clear()
