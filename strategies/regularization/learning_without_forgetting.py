"""Learning without forgetting (Li & Hoiem 2016).

Avalanche's own plug-in leaves its teacher in training mode, so that the teacher's dropout is drawn and its batch
statistics follow the new data. And it keeps old classes in a set, whose order, on which the last bits depend, a pickled
copy need not keep.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy

import torch
from avalanche.core import SupervisedPlugin
from avalanche.models import MultiTaskModule, avalanche_forward
from avalanche.training.templates import SupervisedTemplate
from torch import Tensor, nn


class LearningWithoutForgetting(SupervisedPlugin):
    """Distils the network of before an experience into its outputs for old classes.

    Where each task has a head, the distillations of all earlier tasks' heads are added up. The divergence stands for
    the paper's cross-entropy, from which it differs by a constant, so that gradients are the same.

    Args:
        alpha: the weight of the distillation, or one for each experience; the paper's lambda_o.
        temperature: T of both softmaxes.
        cross_entropy: the weight of the loss without the distillation, or one for each experience.
        distil_new: whether a probability of zero is distilled into new classes, where no task has a head of its own.

    Attributes:
        teacher: the network after the last experience, in eval mode; None in the first.
        old: the classes that the teacher knows, in order, by task.
        new: those of this experience, if a probability of zero is distilled into the ones that are new.
    """

    def __init__(
        self,
        alpha: float | list[float] = 1.0,
        temperature: float = 2.0,
        cross_entropy: float | list[float] = 1.0,
        distil_new: bool = False,
    ) -> None:
        super().__init__()
        self.alpha, self.temperature = alpha, temperature
        self.cross_entropy, self.distil_new = cross_entropy, distil_new
        self.teacher: nn.Module | None = None
        self.old: dict[int, list[int]] = {}
        self.new: Sequence[int] = ()
        self._experience = 0

    def before_training_exp(self, strategy: SupervisedTemplate, **_: object) -> None:
        if self.distil_new:
            self.new = sorted(strategy.experience.dataset.targets.uniques)

    def before_backward(self, strategy: SupervisedTemplate, **_: object) -> None:
        """Weigh the loss of the new classes, Eq. 1, and add that of the old ones, Eq. 2."""
        strategy.loss *= self._now(self.cross_entropy)
        if self.teacher is None:
            return
        pairs = self._outputs(strategy)
        strategy.loss += self._now(self.alpha) * sum(
            self.distillation(*pairs[task], self.old[task]) for task in pairs if task in self.old
        )

    def distillation(self, output: Tensor, taught: Tensor, old: Sequence[int]) -> Tensor:
        """Return the divergence of the softened outputs for old classes, Eq. 2 with Eq. 3: a scalar.

        Eq. 3 raises each probability to the power of 1 / T; dividing logits by T is the same.

        Args:
            output: the network's logits, of shape (batch, classes).
            taught: the teacher's, for the same samples.
            old: the columns of the old classes.
        """
        headless = not isinstance(self.teacher, MultiTaskModule)
        added = [unit for unit in self.new if headless and unit not in old]
        student = torch.log_softmax(output[:, [*old, *added]] / self.temperature, dim=1)[:, : len(old)]
        teacher = torch.softmax(taught[:, list(old)] / self.temperature, dim=1)
        return nn.functional.kl_div(student, teacher, reduction="batchmean")

    def _outputs(self, strategy: SupervisedTemplate) -> dict[int, tuple[Tensor, Tensor]]:
        """Return the network's and the teacher's outputs on the batch, by task; without task heads, of task 0."""
        assert self.teacher is not None
        with torch.no_grad():
            if not isinstance(self.teacher, MultiTaskModule):
                return {0: (strategy.mb_output, self.teacher(strategy.mb_x))}
            taught = avalanche_forward(self.teacher, strategy.mb_x, None)  # None: through all heads
        outputs = avalanche_forward(strategy.model, strategy.mb_x, None)
        return {task: (outputs[task], taught[task]) for task in taught}

    def after_training_exp(self, strategy: SupervisedTemplate, **_: object) -> None:
        self._experience += 1
        self.teacher = deepcopy(strategy.model).eval().requires_grad_(False)
        dataset = strategy.experience.dataset
        for task in dataset.targets_task_labels.uniques:
            classes = dataset.task_set[task].targets.uniques
            self.old[task] = sorted({*self.old.get(task, ()), *classes})

    def _now(self, weight: float | list[float]) -> float:
        return weight[self._experience] if isinstance(weight, list) else weight
