"""Faults of avalanche-lib 0.6.0 that the suite works around, each with the fault. Nothing is patched at import."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

import torch
from avalanche.training.plugins import AGEMPlugin, EvaluationPlugin, SynapticIntelligencePlugin
from avalanche.training.storage_policy import ClassBalancedBuffer
from avalanche.training.supervised.der import ClassBalancedBufferWithLogits
from avalanche.training.templates import SupervisedTemplate
from torch import nn

from lifelong.data.resident import BatchReader, rows_of
from lifelong.running.seeds import untouched_generators


def no_evaluator() -> EvaluationPlugin:
    """An evaluator without metrics. Fault: Avalanche warns that one has no loggers although none was wanted."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="No loggers specified")
        return EvaluationPlugin()


def drop_idle_evaluator(strategy: SupervisedTemplate) -> None:
    """Fault: an evaluator without metrics still builds its result at every callback, 5 to 10 % of a small step."""
    evaluator = strategy.evaluator
    if not evaluator.metrics and not evaluator.loggers:
        strategy.plugins = [plugin for plugin in strategy.plugins if plugin is not evaluator]


@contextmanager
def unchanged_by_evaluation(strategy: SupervisedTemplate) -> Iterator[None]:
    """Evaluate inside, and the strategy trains on as if it had not been evaluated.

    Faults: `eval` adapts the network to each experience that it sees, so that heads, classes and columns grow for
    tasks not yet trained on; GDumb adapts its stored initial network there too; and the evaluation's loaders draw
    from the global random generators. Here a copy of the network is evaluated, only that copy may be adapted, and
    the generators are put back.
    """
    model, adapt = strategy.model, strategy.model_adaptation

    def adapt_the_copy(model: nn.Module | None = None) -> nn.Module:
        return adapt(model) if model is None or model is strategy.model else model

    with untouched_generators():
        try:
            strategy.model = deepcopy(model)
            strategy.model_adaptation = adapt_the_copy
            yield
        finally:
            strategy.model = model
            del strategy.model_adaptation


class ResumableAGEM(AGEMPlugin):  # type: ignore[misc]
    """A-GEM that can be pickled between experiences.

    Fault: it keeps a running generator. That is made anew after each experience and not started before the next, so
    a new one goes on with the same batches.
    """

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in vars(self).items() if key != "buffer_dliter"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.buffer_dliter = iter(self.buffer_dataloader or ())


class WorkingSI(SynapticIntelligencePlugin):  # type: ignore[misc]
    """Synaptic intelligence that works on the CPU and with several heads.

    Faults: on the CPU the weights before a step are kept as a view of the weights themselves, so that no weight ever
    seems to move, every importance is zero, and the strategy is plain fine-tuning; a head that is not in use has no
    gradient, which raises; and numpy warns of how its squares are taken.
    """

    def before_training_exp(self, strategy: Any, **kwargs: Any) -> None:
        super().before_training_exp(strategy, **kwargs)
        _own(self.ewc_data[0])

    def before_training_iteration(self, strategy: Any, **kwargs: Any) -> None:
        super().before_training_iteration(strategy, **kwargs)
        _own(self.syn_data["old_theta"])

    def after_training_iteration(self, strategy: Any, **kwargs: Any) -> None:
        for parameter in strategy.model.parameters():
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        super().after_training_iteration(strategy, **kwargs)

    def after_training_exp(self, strategy: Any, **kwargs: Any) -> None:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="__array_wrap__", category=DeprecationWarning)
            super().after_training_exp(strategy, **kwargs)


def _own(stored: dict[str, Any]) -> None:
    """Replace views by copies."""
    for data in stored.values():
        data.data = data.data.clone()


class _ReadByBatch:
    """Fault: a buffer's classes are cut out with a function that forgets the dataset's type, so that DER and ER-ACE
    read their memory sample by sample."""

    @property
    def buffer(self) -> Any:
        buffer = super().buffer  # type: ignore[misc]
        rows = rows_of(buffer) if len(buffer) else None
        return BatchReader(rows) if rows is not None else buffer

    @buffer.setter
    def buffer(self, _: object) -> None:
        """Set by Avalanche's constructors; the groups hold the samples."""


class FastClassBuffer(_ReadByBatch, ClassBalancedBuffer):  # type: ignore[misc]
    """Avalanche's `ClassBalancedBuffer`, read by the batch."""


class FastLogitsBuffer(_ReadByBatch, ClassBalancedBufferWithLogits):  # type: ignore[misc]
    """Avalanche's `ClassBalancedBufferWithLogits`, read by the batch."""
