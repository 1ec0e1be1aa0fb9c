"""Penalties on weights, and distillation."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from copy import deepcopy
from fnmatch import fnmatch
from typing import Any

import torch
from avalanche.models import MultiTaskModule
from avalanche.training.plugins import (
    CWRStarPlugin,
    LFLPlugin,
    LwFPlugin,
    MASPlugin,
    RWalkPlugin,
    SynapticIntelligencePlugin,
)
from avalanche.training.regularization import LearningWithoutForgetting
from avalanche.training.utils import copy_params_dict
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

from lifelong.models.given import Given
from lifelong.workarounds.penalties import quadratic_penalty


class WorkingLwF(LwFPlugin):
    """Learning without forgetting whose teacher holds still, and two things that its users do to it.

    Faults: the teacher stays in training mode, so that its dropout is drawn and its batch statistics follow the new
    data; and the old classes are a set, whose order, which the last bits depend on, a pickled copy need not keep.

    Args:
        alpha: weight of the distillation, or one for each experience.
        temperature: of both softmaxes.
        cross_entropy: weight of the loss without the distillation, or one for each experience.
        distil_new: whether a probability of zero is distilled into new classes, where no task has a head of its own.
    """

    def __init__(
        self,
        alpha: float | list[float],
        temperature: float,
        cross_entropy: float | list[float] = 1.0,
        distil_new: bool = False,
    ) -> None:
        super().__init__(alpha, temperature)
        self.lwf = _Distillation(alpha, temperature)
        self.cross_entropy, self._distil_new = cross_entropy, distil_new

    def before_training_exp(self, strategy: Any, **_: object) -> None:
        if self._distil_new:
            self.lwf.current_classes = sorted(strategy.experience.dataset.targets.uniques)

    def before_backward(self, strategy: Any, **kwargs: Any) -> None:
        weight = self.cross_entropy
        strategy.loss *= weight[self.lwf.expcount] if isinstance(weight, list) else weight
        super().before_backward(strategy, **kwargs)


class _Distillation(LearningWithoutForgetting):
    """Its loss, for a teacher that holds still.

    Attributes:
        current_classes: those of this experience, if a probability of zero is to be distilled into the new ones.
    """

    current_classes: Sequence[int] = ()

    def post_adapt(self, agent: Any, exp: Any) -> None:
        super().post_adapt(agent, exp)
        self.prev_model.eval().requires_grad_(False)

    def _distillation_loss(self, out: Tensor, prev_out: Tensor, active_units: set[int]) -> Tensor:
        old = sorted(active_units)
        headless = not isinstance(self.prev_model, MultiTaskModule)
        new = [unit for unit in self.current_classes if headless and unit not in active_units]
        student = torch.log_softmax(out[:, old + new] / self.temperature, dim=1)[:, : len(old)]
        teacher = torch.softmax(prev_out[:, old] / self.temperature, dim=1)
        return nn.functional.kl_div(student, teacher, reduction="batchmean")


class WorkingMAS(MASPlugin):
    """Memory aware synapses that go on when a batch is learnt completely, with a penalty that costs half as much.

    Faults: a loss of exactly zero, which cross-entropy rounds to, is taken for a missing one and raises; and autograd
    makes of the penalty ten passes over all weights at each step. The gradient here is the same, bit for bit.
    """

    def before_backward(self, strategy: Any, **_: object) -> None:
        known = self.importance or {}
        held = [
            (weight, [(known[name].expand(weight.shape), self.params[name].expand(weight.shape))])
            for name, weight in strategy.model.named_parameters()
            if name in known
        ]
        if held:
            strategy.loss += quadratic_penalty(self._lambda, held)


class WorkingSI(SynapticIntelligencePlugin):
    """Synaptic intelligence that works on the CPU, and tells important weights from others.

    Faults: on the CPU the weights before a step are kept as a view of the weights themselves, so that no weight ever
    seems to move, every importance is zero, and the strategy is plain fine-tuning. Importances are capped at 0.001,
    which most reach, so that all weights are held alike. Those of weights that raised the loss are negative without
    bound and push them away; here they are zero, on which the paper is silent. And numpy warns of its squares. Five
    times a step it looks for the weights that it holds, all but those of batch norms, in a walk through each layer's
    layers that grows exponentially with their nesting; and autograd makes many passes of its penalty.
    """

    def before_training_exp(self, strategy: Any, **kwargs: Any) -> None:
        super().before_training_exp(strategy, **kwargs)
        _own(self.ewc_data[0])

    def before_training_iteration(self, strategy: Any, **_: object) -> None:
        for name, weight in self._held(strategy.model):
            self.syn_data["old_theta"][name].data = weight.detach().flatten().to("cpu", copy=True)

    def before_backward(self, strategy: Any, **_: object) -> None:
        strength = self.si_lambda[min(strategy.clock.train_exp_counter, len(self.si_lambda) - 1)]
        anchors, importances = self.ewc_data
        strategy.loss += quadratic_penalty(
            strength / 2,
            [
                (weight, [(importances[name].data.to(weight.device), anchors[name].data.to(weight.device))])
                for name, weight in self._held(strategy.model)
            ],
        )

    @torch.no_grad()
    def after_training_iteration(self, strategy: Any, **_: object) -> None:
        for name, weight in self._held(strategy.model):
            moved, gradient = weight.flatten().cpu() - self.syn_data["old_theta"][name].data, weight.grad
            assert gradient is not None  # the penalty has one for each weight that is held
            self.syn_data["trajectory"][name].data += moved.mul_(gradient.flatten().cpu())

    def after_training_exp(self, strategy: Any, **kwargs: Any) -> None:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="__array_wrap__", category=DeprecationWarning)
            super().after_training_exp(strategy, **kwargs)
        for name, lowered in self.syn_data["cum_trajectory"].items():
            self.ewc_data[1][name].data = (-lowered.data).clamp(min=0)

    def _held(self, model: nn.Module) -> list[tuple[str, nn.Parameter]]:
        """All weights that are trained, but those of batch norms and those that are to be left alone."""
        norms = [module for module in model.modules() if isinstance(module, _NormBase)]
        aside = {id(weight) for norm in norms for weight in norm.parameters()}
        excluded = self.explode_excluded_parameters(self.excluded_parameters)
        return [
            (name, weight)
            for name, weight in model.named_parameters()
            if weight.requires_grad
            and id(weight) not in aside
            and not any(fnmatch(name, pattern) for pattern in excluded)
        ]


class WorkingRWalk(RWalkPlugin):
    """Riemannian walk that trains in training mode, with one pass for each batch, through experiences of any length.

    Faults: the gradient of the loss without its penalty comes from a second pass over each batch, in eval mode, in
    which the network stays: dropout and batch statistics are off in all training. And an experience of fewer steps
    than `delta_t`, which has no scores, makes all penalties 0 / 0. Here that gradient is the one of the training pass,
    to which the penalty's is added in closed form, and the steps after the last interval are one too. Negative scores
    count as zero where they arise, as in the authors' code, so that they do not lessen those of earlier experiences.
    """

    def before_training_iteration(self, strategy: Any, **_: object) -> None:
        self.iter_params = copy_params_dict(strategy.model)

    def before_backward(self, *_: object, **__: object) -> None:
        pass

    @torch.no_grad()
    def after_backward(self, strategy: Any, **_: object) -> None:
        self.iter_grad = copy_params_dict(strategy.model, copy_grad=True)
        self._update_importance(strategy)
        for name, parameter in strategy.model.named_parameters():
            if parameter.grad is not None and name in (self.exp_penalties or {}):
                moved = parameter - self.exp_params[name].data
                parameter.grad += 2 * self.ewc_lambda * self.exp_penalties[name].data * moved

    def after_training_exp(self, strategy: Any, **kwargs: Any) -> None:
        self._update_score(strategy)
        for score in self.checkpoint_scores.values():
            score.data.clamp_(min=0)
        super().after_training_exp(strategy, **kwargs)
        for penalty in self.exp_penalties.values():
            penalty.data.nan_to_num_(0)  # where the loss is zero all along, there is nothing to normalise by


class WorkingLFL(LFLPlugin):
    """Less-forgetful learning for any network of `features` and `classifier`, which stays in training mode.

    Faults: it takes networks of Avalanche's base class alone; from the second experience on it puts the network into
    eval mode at every batch, so that dropout and batch statistics are off; it computes the features a second time; and
    what it freezes is the last linear layer that it finds, with several heads that of a task still to come.
    """

    def __init__(self, lambda_e: float) -> None:
        super().__init__(lambda_e)
        self._features = Given()

    def before_training(self, *_: object, **__: object) -> None:
        pass

    def before_forward(self, strategy: Any, **_: object) -> None:
        if self.prev_model is not None:
            self._features.watch(strategy.model.classifier)

    def after_forward(self, *_: object, **__: object) -> None:
        self._features.leave()

    @torch.no_grad()
    def _before(self, x: Tensor) -> Tensor:
        features: Tensor = self.prev_model.features(x)
        return features

    def compute_features(self, model: nn.Module, x: Tensor) -> tuple[Tensor, Tensor]:
        del model
        return self._features.take(), self._before(x)

    def after_training_exp(self, strategy: Any, **_: object) -> None:
        self.prev_model = deepcopy(strategy.model).eval().requires_grad_(False)
        for parameter in strategy.model.classifier.parameters():
            if parameter.grad is not None:  # else a head of another task
                parameter.requires_grad = False


class WorkingCWRStar(CWRStarPlugin):
    """CWR* without a bias in its layer, as the authors' networks are.

    Fault: weights are consolidated, but biases stay as the last experience left them, in favour of its classes. Here
    they are zero.
    """

    def before_training_exp(self, strategy: Any, **kwargs: Any) -> None:
        super().before_training_exp(strategy, **kwargs)
        bias = self.get_cwr_layer().bias
        if bias is not None:
            bias.requires_grad_(False).zero_()


def _own(stored: dict[str, Any]) -> None:
    """Replace views by copies."""
    for data in stored.values():
        data.data = data.data.clone()
