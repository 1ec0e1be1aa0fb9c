"""Builds a network for a benchmark: the model's feature extractor and a head, or the user's whole network."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from avalanche.benchmarks import CLScenario
from avalanche.models.utils import is_multi_task_module
from torch import Tensor, nn

from lifelong.contracts import Protocol
from lifelong.errors import LifelongError, UsageError, frame_of
from lifelong.models.contract import HEAD, Model
from lifelong.models.heads import (
    MultiHeadNetwork,
    SingleHeadNetwork,
    answer_of,
    columns_of,
    new_head,
    outputs_of,
    width_of,
)
from lifelong.models.whole import Logits, logits_in, split


def build_network(
    model: Model, parameters: Mapping[str, Any], *, protocol: Protocol, benchmark: CLScenario
) -> nn.Module:
    """Build a network for a benchmark, on the CPU.

    The weights are drawn from torch's global generator, which the caller seeds. The input shape and the number of
    classes are taken from the benchmark. The whole head exists from the start, so that an untrained network can be
    evaluated on every experience, and no evaluation ever adds to the network.

    Args:
        model: the model.
        parameters: the parameters that differ from the model's defaults.
        protocol: what the learner is told; `task` means a head for each task.
        benchmark: an Avalanche benchmark with a train stream.

    Returns:
        A network with the parts `features` and `classifier`; a user's whole network as it is, where it does not end in
        a linear layer. It is a `MultiTaskModule` if it has a head for each task.

    Raises:
        UsageError: if there is no such parameter, or the model does not take this input.
    """
    values = model.resolve(parameters)
    head = values.pop(HEAD.name)
    x = torch.as_tensor(benchmark.train_stream[0].dataset[0][0])[None]
    network = _made(model, tuple(x.shape[1:]), outputs_of(benchmark), values)
    try:
        multiple = protocol == "task" and head == "protocol"
        return _with_head(model, network, x, benchmark, "multiple" if multiple else head)
    except LifelongError as error:
        raise UsageError(f"{model.name}: {error}") from None
    except Exception as error:
        raise UsageError(_told(model, error, f"does not take samples of shape {tuple(x.shape[1:])}")) from error


def _made(model: Model, input_shape: tuple[int, ...], outputs: int, values: Mapping[str, Any]) -> nn.Module:
    try:
        network: Any = model.make(input_shape, outputs, **values)
    except LifelongError as error:
        raise UsageError(f"{model.name}: {error}") from None
    except Exception as error:
        raise UsageError(_told(model, error, "cannot be built")) from error
    if not isinstance(network, nn.Module):
        raise UsageError(f"{model.name} returns {type(network).__name__}, not a torch.nn.Module")
    return network


def _told(model: Model, error: Exception, what: str) -> str:
    """Tell a built-in network's refusal in its own words, and a mistake in a user's file with its place."""
    if model.file is None and isinstance(error, ValueError):
        return f"{model.name}: {error}"
    frame = frame_of(error, str(model.file))
    return f"{model.name} {what}: {type(error).__name__}: {error} ({Path(frame.filename).name}:{frame.lineno})"


def _with_head(model: Model, network: nn.Module, x: Tensor, benchmark: CLScenario, head: str) -> nn.Module:
    if is_multi_task_module(network):
        return network  # the user's own heads
    outputs = outputs_of(benchmark)
    parts: tuple[nn.Module, nn.Module | None] | None = (network, None)
    if model.whole:
        result = answer_of(network, x)
        logits = logits_in(result, model.logits)
        _check_outputs(logits, outputs)
        if logits is not result:
            network = Logits(network, model.logits)
        parts = split(network, x)
    if parts is None:
        if head != "single" and head != "protocol":
            raise UsageError(
                "it does not end in a linear layer, which a head for each task or an incremental one could replace; "
                "make a feature extractor of it, by leaving out `outputs`, or set model.head = 'single'"
            )
        return network
    features, classifier = parts
    if head == "multiple":
        return MultiHeadNetwork(features, width_of(features, x), benchmark)
    if classifier is None or head == "incremental":
        classifier = new_head(width_of(features, x), outputs, masked=head == "incremental")
    return SingleHeadNetwork(features, classifier)


def _check_outputs(logits: Tensor, outputs: int) -> None:
    made = columns_of(logits)
    if made != outputs:
        raise UsageError(f"it has {made} outputs, and this scenario needs {outputs}: use what `outputs` says")
