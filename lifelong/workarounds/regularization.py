"""Penalties on weights, and distillation."""

from __future__ import annotations

import warnings
from typing import Any

import torch
from avalanche.training.plugins import LwFPlugin, MASPlugin, SynapticIntelligencePlugin
from avalanche.training.regularization import LearningWithoutForgetting
from torch import Tensor


class WorkingLwF(LwFPlugin):
    """Learning without forgetting whose teacher holds still.

    Faults: the teacher stays in training mode, so that its dropout is drawn and its batch statistics follow the new
    data; and the old classes are a set, whose order, which the last bits depend on, a pickled copy need not keep.
    """

    def __init__(self, alpha: float, temperature: float) -> None:
        super().__init__(alpha, temperature)
        self.lwf = _Distillation(alpha, temperature)


class _Distillation(LearningWithoutForgetting):
    def post_adapt(self, agent: Any, exp: Any) -> None:
        super().post_adapt(agent, exp)
        self.prev_model.eval().requires_grad_(False)

    def _distillation_loss(self, out: Tensor, prev_out: Tensor, active_units: set[int]) -> Tensor:
        loss: Tensor = super()._distillation_loss(out, prev_out, sorted(active_units))
        return loss


class WorkingMAS(MASPlugin):
    """Memory aware synapses that go on when a batch is learnt completely.

    Fault: a loss of exactly zero, which cross-entropy rounds to, is taken for a missing one and raises. Here it is the
    smallest number above zero, which adds nothing to any gradient.
    """

    def before_backward(self, strategy: Any, **kwargs: Any) -> None:
        strategy.loss = strategy.loss + torch.finfo(strategy.loss.dtype).tiny
        super().before_backward(strategy, **kwargs)


class WorkingSI(SynapticIntelligencePlugin):
    """Synaptic intelligence that works on the CPU, and tells important weights from others.

    Faults: on the CPU the weights before a step are kept as a view of the weights themselves, so that no weight ever
    seems to move, every importance is zero, and the strategy is plain fine-tuning. Importances are capped at 0.001,
    which most reach, so that all weights are held alike. Those of weights that raised the loss are negative without
    bound and push them away; here they are zero, on which the paper is silent. And numpy warns of its squares.
    """

    def before_training_exp(self, strategy: Any, **kwargs: Any) -> None:
        super().before_training_exp(strategy, **kwargs)
        _own(self.ewc_data[0])

    def before_training_iteration(self, strategy: Any, **kwargs: Any) -> None:
        super().before_training_iteration(strategy, **kwargs)
        _own(self.syn_data["old_theta"])

    def after_training_exp(self, strategy: Any, **kwargs: Any) -> None:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="__array_wrap__", category=DeprecationWarning)
            super().after_training_exp(strategy, **kwargs)
        for name, lowered in self.syn_data["cum_trajectory"].items():
            self.ewc_data[1][name].data = (-lowered.data).clamp(min=0)


def _own(stored: dict[str, Any]) -> None:
    """Replace views by copies."""
    for data in stored.values():
        data.data = data.data.clone()
