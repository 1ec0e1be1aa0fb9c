"""La-MAML: look ahead along the new samples, and descend the loss that old and new ones have there."""

from __future__ import annotations

from typing import Any

import torch
from avalanche.models.utils import is_multi_task_module
from avalanche.training.templates import SupervisedTemplate
from torch import Tensor
from torch.func import functional_call
from torch.nn.utils import clip_grad_norm_

from lifelong.structure.contexts import evaluating

from ..replay.recalling import RecallingEarlier


class LaMAML(SupervisedTemplate):
    """Trains by look-ahead MAML, with a learned rate for each weight.

    Args:
        memory: joins recalled samples to each batch; it must be among the plug-ins.
        inner_updates: number of inner updates, among which the new samples of a batch are divided.
        second_order: whether the meta-gradient goes through the gradients of the inner updates.
        clip: the largest entry of the inner gradients, and the largest norm of the meta-gradients.
        alpha_init: the first value of all rates.
        lr_alpha: rate at which the rates are learnt.
        template: arguments of Avalanche's `SupervisedTemplate`.
    """

    def __init__(
        self,
        *,
        memory: RecallingEarlier,
        inner_updates: int,
        second_order: bool,
        clip: float,
        alpha_init: float,
        lr_alpha: float,
        **template: Any,
    ) -> None:
        super().__init__(**template)
        self.memory, self.inner_updates, self.second_order, self.clip = memory, inner_updates, second_order, clip
        self.alpha_init, self.lr_alpha = alpha_init, lr_alpha
        self.rates: dict[str, Tensor] = {}

    def backward(self) -> None:
        """Put the meta-gradients into the weights' and the rates' `grad`, in place of the batch's gradient."""
        weights = {name: weight for name, weight in self.model.named_parameters() if weight.requires_grad}
        for name, weight in weights.items():
            if name not in self.rates or self.rates[name].shape != weight.shape:
                self.rates[name] = torch.full_like(weight, self.alpha_init).requires_grad_()
        with evaluating(self.model):
            loss = self._meta_loss(weights)
        leaves = [*weights.values(), *(self.rates[name] for name in weights)]
        for leaf, slope in zip(leaves, torch.autograd.grad(loss, leaves, allow_unused=True), strict=True):
            leaf.grad = slope

    @torch.no_grad()
    def optimizer_step(self) -> None:
        """Update the rates, then each weight at its own rate, in place of the optimizer's step."""
        weights = {name: weight for name, weight in self.model.named_parameters() if weight.grad is not None}
        rates = [self.rates[name] for name in weights]
        clip_grad_norm_(weights.values(), self.clip)
        clip_grad_norm_(rates, self.clip)
        for rate, weight in zip(rates, weights.values(), strict=True):
            if rate.grad is not None:
                rate -= self.lr_alpha * rate.grad
            weight -= rate.clamp(min=0) * weight.grad

    def _meta_loss(self, weights: dict[str, Any]) -> Tensor:
        """Return the loss on the whole batch after an inner update, as the mean over all inner updates."""
        fast: dict[str, Tensor] = weights
        losses = []
        parts = min(self.inner_updates, self.memory.fresh)
        for at in torch.arange(self.memory.fresh, device=self.mb_x.device).tensor_split(parts):
            fast = self._stepped(fast, self._loss(fast, at))
            losses.append(self._loss(fast, slice(None)))
        return torch.stack(losses).mean()

    def _loss(self, weights: dict[str, Tensor], at: Tensor | slice) -> Tensor:
        task = (self.mb_task_id[at],) if is_multi_task_module(self.model) else ()
        loss: Tensor = self._criterion(functional_call(self.model, weights, (self.mb_x[at], *task)), self.mb_y[at])
        return loss

    def _stepped(self, weights: dict[str, Tensor], loss: Tensor) -> dict[str, Tensor]:
        """Return the weights after an inner update, as a function of the weights before it and of the rates."""
        slopes = torch.autograd.grad(loss, list(weights.values()), create_graph=self.second_order, allow_unused=True)
        pairs = zip(weights.items(), slopes, strict=True)
        return {
            name: weight if slope is None else weight - self.rates[name] * slope.clamp(-self.clip, self.clip)
            for (name, weight), slope in pairs
        }
