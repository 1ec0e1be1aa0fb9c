"""Evaluators that are not wanted, and evaluations that change the strategy."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy

from avalanche.training.plugins import EvaluationPlugin
from avalanche.training.templates import SupervisedTemplate
from torch import nn

from lifelong.seeds import untouched_generators


def no_evaluator() -> EvaluationPlugin:
    """Return an evaluator without metrics.

    Fault: Avalanche warns that it has no loggers, although none was wanted.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="No loggers specified")
        return EvaluationPlugin()


def drop_idle_evaluator(strategy: SupervisedTemplate) -> None:
    """Take the evaluator out of a strategy where it has nothing to do.

    Fault: an evaluator without metrics still builds its result at every callback, which takes 5 to 10 % of the time of
    a training step of a small network.
    """
    evaluator = strategy.evaluator
    if not evaluator.metrics and not evaluator.loggers:
        strategy.plugins = [plugin for plugin in strategy.plugins if plugin is not evaluator]


@contextmanager
def unchanged_by_evaluation(strategy: SupervisedTemplate) -> Iterator[None]:
    """Let a strategy be evaluated within the context, and train on afterwards as if it had not been evaluated.

    Faults: `eval` adapts the network to each experience that it sees, so that heads, classes and columns grow for
    tasks that have not been trained yet. GDumb adapts its stored initial network there too. The evaluation's loaders
    draw from the global random generators. A loss is computed for each batch, whether it is wanted or not. Here a copy
    of the network is evaluated, only that copy may be adapted, the generators are put back, and there is no loss.
    """
    model, adapt = strategy.model, strategy.model_adaptation

    def adapt_the_copy(model: nn.Module | None = None) -> nn.Module:
        return adapt(model) if model is None or model is strategy.model else model

    with untouched_generators():
        try:
            strategy.model = deepcopy(model)
            strategy.model_adaptation = adapt_the_copy
            strategy.criterion = strategy._make_empty_loss
            yield
        finally:
            strategy.model = model
            del strategy.model_adaptation, strategy.criterion
