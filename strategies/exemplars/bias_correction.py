"""Bias correction (BiC): two numbers, fitted on samples held out of training, correct the logits of new classes."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass

import torch
from avalanche.benchmarks.utils import concat_datasets
from avalanche.training.templates import SupervisedTemplate
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from .herding import Data, Exemplars, by_class, frozen, outputs_of

PENALTY = 0.1
"""Weight of half the squared offset; it is that of the authors' code, and the paper has none."""

MILESTONES = (0.25, 0.5, 0.75)
"""Shares of the fit's steps; after each of them the learning rate is a tenth of what it was."""


@dataclass(frozen=True)
class Correction:
    """Maps logits to scale * logit + offset for some classes, and leaves those of the others.

    Scale and offset are the paper's alpha and beta; they are tensors while they are fitted.
    """

    classes: list[int]
    scale: float | Tensor = 1.0
    offset: float | Tensor = 0.0

    def __call__(self, logits: Tensor) -> Tensor:
        corrected = logits.clone()
        corrected[:, self.classes] = self.scale * logits[:, self.classes] + self.offset
        return corrected


class BiasCorrection(Exemplars):
    """Distils past classes while it trains, then corrects the logits of the current ones.

    Args:
        mem_size: number of samples in the memory, over all classes, those held out included.
        held_out: share of each class's places in the memory that is held out of training, but at most this share of the
            class's samples.
        temperature: temperature of the distillation.
        steps: number of steps of the fit, each on all samples that are held out.
        rate: learning rate of the fit.
    """

    def __init__(self, mem_size: int, held_out: float, temperature: float, steps: int, rate: float) -> None:
        super().__init__(mem_size)
        self.held_out, self.temperature, self.steps, self.rate = held_out, temperature, steps, rate
        self.validation: dict[int, Data] = {}
        self.teacher: nn.Module | None = None
        self.correction = Correction([])
        self._training: Data | None = None

    @property
    def share(self) -> int:
        return super().share - self._held_out_of(super().share)

    def after_train_dataset_adaptation(self, strategy: SupervisedTemplate, **_: object) -> None:
        super().after_train_dataset_adaptation(strategy)
        self._training = concat_datasets(self._split(strategy.experience.dataset))
        strategy.adapted_dataset = concat_datasets([self._training, *self.kept.values()])

    def _split(self, data: Data) -> list[Data]:
        """Hold some random samples of each class out, and return the others of each class."""
        places, others = self._held_out_of(super().share), []
        for label, positions in by_class(data).items():
            order = [positions[i] for i in torch.randperm(len(positions)).tolist()]
            out = min(places, self._held_out_of(len(order)))
            chosen = data.subset(order[:out])
            self.validation[label] = chosen.concat(self.validation[label]) if label in self.validation else chosen
            others.append(data.subset(order[out:] or order))
        for label, samples in self.validation.items():
            self.validation[label] = samples.subset(range(min(places, len(samples))))
        return others

    def _held_out_of(self, samples: int) -> int:
        return max(1, round(self.held_out * samples))

    def before_backward(self, strategy: SupervisedTemplate, **_: object) -> None:
        """Add the distillation, weighed by the share of past classes among all: the paper's lambda = n / (n + m)."""
        if self.teacher is None or not self.past:
            return
        with torch.no_grad():
            wanted = self.correction(self.teacher(strategy.mb_x))[:, self.past] / self.temperature
        output = strategy.mb_output[:, self.past] / self.temperature
        weight = len(self.past) / len(self.seen)
        strategy.loss = (1 - weight) * strategy.loss + weight * cross_entropy(output, wanted.softmax(dim=1))

    def after_training_exp(self, strategy: SupervisedTemplate, **_: object) -> None:
        assert self._training is not None
        self.keep(strategy, self._training)
        self._training = None
        self.teacher = frozen(deepcopy(strategy.model))
        self.correction = Correction([])
        if self.past:
            logits, labels = outputs_of(strategy.model, strategy, concat_datasets(list(self.validation.values())))
            self.correction = fitted(logits, labels, self.current, self.steps, self.rate)

    def after_eval_forward(self, strategy: SupervisedTemplate, **_: object) -> None:
        strategy.mb_output = self.correction(strategy.mb_output)


@torch.enable_grad()
def fitted(logits: Tensor, labels: Tensor, classes: list[int], steps: int, rate: float) -> Correction:
    """Fit the correction of some classes' logits that minimises the cross-entropy.

    Args:
        logits: logits of shape (n, outputs).
        labels: classes of shape (n,).
        classes: the classes whose logits are corrected.
        steps: number of steps of gradient descent with momentum, on all samples.
        rate: learning rate of the first steps.
    """
    scale, offset = torch.ones((), device=logits.device), torch.zeros((), device=logits.device)
    optimizer = torch.optim.SGD([scale.requires_grad_(), offset.requires_grad_()], rate, momentum=0.9)
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, [int(share * steps) for share in MILESTONES])
    for _ in range(steps):
        loss = cross_entropy(Correction(classes, scale, offset)(logits), labels) + PENALTY / 2 * offset.square()
        scale.grad, offset.grad = torch.autograd.grad(loss, [scale, offset])
        optimizer.step()
        schedule.step()
    return Correction(classes, float(scale.detach()), float(offset.detach()))
