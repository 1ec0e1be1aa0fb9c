"""Keeps evaluation from changing what is trained, and does without Avalanche's evaluators."""

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
    """Return an evaluator without metrics, and without the warning about it.

    Avalanche warns that an evaluator has no loggers, even where no logger is wanted. Here that warning is suppressed.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="No loggers specified")
        return EvaluationPlugin()


def drop_idle_evaluator(strategy: SupervisedTemplate) -> None:
    """Remove the evaluator of a strategy, if it has neither metrics nor loggers.

    In Avalanche such an evaluator still builds its result at each callback, which takes 5 to 10 % of a small step.
    """
    evaluator = strategy.evaluator
    if not evaluator.metrics and not evaluator.loggers:
        strategy.plugins = [plugin for plugin in strategy.plugins if plugin is not evaluator]


@contextmanager
def unchanged_by_evaluation(strategy: SupervisedTemplate) -> Iterator[None]:
    """Return a context in which a strategy can be evaluated without a trace: it trains on as if it had not been.

    - *Evaluation changes the network.* In Avalanche, `eval` adapts the network to each experience that it sees, so that
      heads, classes and columns grow for tasks that have not been trained yet. `GDumbPlugin` also adapts the initial
      network that it stores. Here a copy of the network is evaluated, and nothing but that copy is adapted.
    - *Evaluation changes the training after it*, because its loaders draw from the global random generators. Here the
      generators are put back.
    - *Evaluation computes a loss for each batch*, even if nobody asks for one. Here no loss is computed.

    Args:
        strategy: the strategy to evaluate; its network, its adaptation and its criterion are put back at the end.
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
