"""Networks by name: each has a feature extractor from `extractors`, and from `heads` the head that its protocol needs.

Importing this file loads neither torch nor Avalanche.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from lifelong.contracts import Entry, Protocol
from lifelong.errors import UsageError, unknown
from lifelong.models.extractors import cnn, mlp, slim_resnet18
from lifelong.parameters import Parameter

if TYPE_CHECKING:
    from avalanche.benchmarks import CLScenario
    from torch import nn

HEAD = Parameter("head", Literal["protocol", "single", "incremental"], "protocol")
"""A parameter that every model has.

- `protocol`: a head for each task where task labels are given, and otherwise a single head;
- `single`: one head over all classes;
- `incremental`: one head over all classes, in which the units of classes that were not trained on yet are masked.
"""


@dataclass(frozen=True)
class Model(Entry):
    """A function from an input shape to a feature extractor."""

    @cached_property
    def parameters(self) -> dict[str, Parameter]:
        """The function's keyword parameters by name, and `head`."""
        return {**super().parameters, HEAD.name: HEAD}


MODELS: dict[str, Model] = {
    model.name: model
    for model in (
        Model(mlp, "mlp"),
        Model(cnn, "cnn"),
        Model(slim_resnet18, "slim-resnet18", source="Lopez-Paz & Ranzato 2017, arXiv:1706.08840, section 5"),
    )
}


def get_model(name: str) -> Model:
    """Return the model of a name.

    Raises:
        UsageError: if there is none.
    """
    if name not in MODELS:
        raise unknown("model", name, MODELS)
    return MODELS[name]


def resolve_model(name: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the value of every parameter, with lists in place of tuples, as a record stores them.

    >>> resolve_model("mlp", {"widths": (50,)})
    {'widths': [50], 'dropout': 0.0, 'head': 'protocol'}

    Args:
        name: one of `MODELS`.
        parameters: the parameters that differ from the model's defaults.

    Raises:
        UsageError: if there is no such model or parameter, or a value has the wrong type.
    """
    values = get_model(name).resolve(parameters)
    return {key: list(value) if isinstance(value, tuple) else value for key, value in values.items()}


def build_model(name: str, parameters: Mapping[str, Any], *, protocol: Protocol, benchmark: CLScenario) -> nn.Module:
    """Build a network for a benchmark, on the CPU.

    The weights are drawn from torch's global generator, which the caller seeds. The input shape and the number of
    classes are taken from the benchmark. The whole head exists from the start, so that an untrained network can be
    evaluated on every experience, and no evaluation ever adds to the network.

    Args:
        name: one of `MODELS`.
        parameters: the parameters that differ from the model's defaults.
        protocol: what the learner is told; `task` means a head for each task.
        benchmark: an Avalanche benchmark with a train stream.

    Returns:
        A network with the parts `features` and `classifier`. It is a `MultiTaskModule` if it has a head for each task.

    Raises:
        UsageError: if there is no such model or parameter, or the model does not take this input.
    """
    from lifelong.models.heads import MultiHeadNetwork, SingleHeadNetwork

    model = get_model(name)
    values = model.resolve(parameters)
    head = values.pop(HEAD.name)
    shape = tuple(benchmark.train_stream[0].dataset[0][0].shape)
    try:
        features = model(shape, **values)
    except ValueError as error:
        raise UsageError(f"{name}: {error}") from None
    if protocol == "task" and head == "protocol":
        return MultiHeadNetwork(features, shape, benchmark)
    return SingleHeadNetwork(features, shape, benchmark, masked=head == "incremental")


__all__ = ["HEAD", "MODELS", "Model", "build_model", "get_model", "resolve_model"]
