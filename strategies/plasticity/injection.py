"""Plasticity injection: a fresh copy of a network's last part, added so that the outputs stay as they are."""

from __future__ import annotations

from collections import OrderedDict
from copy import deepcopy
from typing import Any

from avalanche.core import SupervisedPlugin
from avalanche.training.templates import SupervisedTemplate
from torch import Tensor, nn

from lifelong.errors import UsageError
from lifelong.structure.holding.optimizers import add_parameters, drop_parameters

from .._drawing import check_drawable, draw_anew, own_generator

Logits = Tensor | dict[int, Tensor]


class Branch(nn.Module):
    """Holds the last hidden layers and the classifier that reads them."""

    def __init__(self, hidden: nn.Module, classifier: nn.Module) -> None:
        super().__init__()
        self.hidden = hidden
        self.classifier = classifier

    def forward(self, x: Tensor, *task_labels: Any) -> Logits:
        """Return logits of shape (n, classes), or those of each task."""
        logits: Logits = self.classifier(self.hidden(x), *task_labels)
        return logits

    def forward_single_task(self, x: Tensor, task_label: int) -> Tensor:
        """Return the logits of one task's head."""
        logits: Tensor = self.classifier.forward_single_task(self.hidden(x), task_label)  # type: ignore[operator]
        return logits


class InjectedHead(nn.Module):
    """Computes h_theta(x) + h_theta'1(x) - h_theta'2(x), where theta'1 = theta'2 at first and only theta'1 learns.

    Args:
        head: h_theta, which is frozen.
        fresh: h_theta'1; its frozen twin h_theta'2 is a copy of it.
    """

    def __init__(self, head: Branch, fresh: Branch) -> None:
        super().__init__()
        self.old = head.requires_grad_(False)
        self.new = fresh
        self.twin = deepcopy(fresh).requires_grad_(False)

    def forward(self, x: Tensor, *task_labels: Any) -> Logits:
        """Return logits of shape (n, classes), or those of each task."""
        together: Logits = _together(*(branch(x, *task_labels) for branch in (self.old, self.new, self.twin)))
        return together

    def forward_single_task(self, x: Tensor, task_label: int) -> Tensor:
        """Return the logits of one task's head."""
        old, new, twin = (each.forward_single_task(x, task_label) for each in (self.old, self.new, self.twin))
        return old + (new - twin)


class PlasticityInjection(SupervisedPlugin):
    """Injects plasticity once, into a network of the parts `features` and `classifier`.

    Args:
        network: the network that will be trained.
        at: the experience at whose start it is done, counted from 0.
        hidden: number of hidden layers that belong to the head, beside the classifier.

    Raises:
        UsageError: if the network does not have these parts or so many hidden layers, or they cannot be drawn.
    """

    def __init__(self, network: nn.Module, at: int, hidden: int) -> None:
        super().__init__()
        self.at = at
        self.hidden = hidden
        self._generator = own_generator("plasticity injection")
        self._arrived = 0
        _, head = _split(network, hidden)
        check_drawable(head, "plasticity-injection: the network's last part")

    def before_training_exp(self, strategy: SupervisedTemplate, **_: object) -> None:
        if self._arrived == self.at:
            self._inject(strategy)
        self._arrived += 1

    def _inject(self, strategy: SupervisedTemplate) -> None:
        network = strategy.model
        encoder, head = _split(network, self.hidden)
        fresh = deepcopy(head)
        draw_anew(fresh, self._generator)
        drop_parameters(strategy.optimizer, head.parameters())
        network.features, network.classifier = encoder, InjectedHead(head, fresh)
        add_parameters(strategy.optimizer, fresh.parameters(), like=next(encoder.parameters(), None))
        strategy.optimized_param_id = dict(network.named_parameters())


def _split(network: nn.Module, hidden: int) -> tuple[nn.Sequential, Branch]:
    """Split a network into its features without the last hidden layers, and these layers with the classifier."""
    features, classifier = getattr(network, "features", None), getattr(network, "classifier", None)
    if not isinstance(features, nn.Sequential) or not isinstance(classifier, nn.Module):
        raise UsageError(
            "plasticity-injection splits a network of `features`, in sequence, and `classifier`, as the suite's are; "
            f"{type(network).__name__} is not such a one"
        )
    children = list(features.named_children())
    layers = [number for number, (_, child) in enumerate(children) if any(True for _ in child.parameters())]
    if hidden > len(layers):
        raise UsageError(f"plasticity-injection: hidden = {hidden}, but the network has {len(layers)} hidden layers")
    first = layers[-hidden]
    last = nn.Sequential(OrderedDict(children[first:]))
    return nn.Sequential(OrderedDict(children[:first])), Branch(last, classifier)


def _together(old: Any, new: Any, twin: Any) -> Any:
    if isinstance(old, dict):
        return {task: _together(old[task], new[task], twin[task]) for task in old}
    return old + (new - twin)  # exactly the old output as long as the twins are the same
