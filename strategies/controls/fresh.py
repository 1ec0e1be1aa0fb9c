"""Networks, or classifiers, that start again with each task."""

from __future__ import annotations

from copy import deepcopy

from avalanche.core import SupervisedPlugin
from avalanche.training.templates import SupervisedTemplate
from torch import nn

from lifelong.errors import UsageError

from .._drawing import check_drawable, draw_anew, own_generator


class FromScratch(SupervisedPlugin):
    """Replaces the trained network by the initial one before each experience; the optimizer starts again too."""

    def __init__(self) -> None:
        super().__init__()
        self._initial: nn.Module | None = None

    def before_train_dataset_adaptation(self, strategy: SupervisedTemplate, **_: object) -> None:
        if self._initial is None:
            self._initial = deepcopy(strategy.model)
        else:
            # Avalanche rebinds the optimizer to the new parameters right after this, and forgets its state of the old
            strategy.model = deepcopy(self._initial)


class FreshHead(SupervisedPlugin):
    """Draws a network's classifier anew at the start of every experience but the first, with its optimizer state.

    Args:
        network: the network that will be trained.

    Raises:
        UsageError: if it has no part called `classifier`, or that part cannot be drawn.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        classifier = getattr(network, "classifier", None)
        if not isinstance(classifier, nn.Module):
            raise UsageError(f"head-reset draws a network's `classifier` anew; {type(network).__name__} has none")
        check_drawable(classifier, "head-reset: the classifier")
        self._generator = own_generator("head reset")
        self._arrived = 0

    def before_training_exp(self, strategy: SupervisedTemplate, **_: object) -> None:
        if self._arrived:
            draw_anew(strategy.model.classifier, self._generator)
            for parameter in strategy.model.classifier.parameters():
                strategy.optimizer.state.pop(parameter, None)
        self._arrived += 1
