"""The network that a run ends with: stored beside its record, and built again, grown or pruned as it is."""

from __future__ import annotations

import json
from pathlib import Path

from torch import nn

from lifelong.errors import UsageError
from lifelong.models import models
from lifelong.records.record import read, why
from lifelong.records.store import write_whole
from lifelong.registry import scenarios, strategies
from lifelong.structure import StructureError, blueprint, rebuild
from lifelong.training.prepare import build_benchmark, prepare

SUFFIX = ".safetensors"
"""How the file's name ends, which is the record's otherwise."""


def keep_network(network: nn.Module, record: Path) -> Path:
    """Store a network's weights and its blueprint in one file beside its record, and return its path.

    Args:
        network: the network that a run ends with.
        record: where the run's record lies, or will.
    """
    from safetensors.torch import save

    tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in network.state_dict().items()}
    path = record.with_suffix(SUFFIX)
    write_whole(path, save(tensors, {"blueprint": json.dumps(blueprint(network))}))
    return path


def load_network(
    record: str | Path,
    *,
    data: str | Path | None = None,
    scenario: str = "",
    strategy: str = "",
    model: str = "",
) -> nn.Module:
    """Return the network that a run ended with, in evaluation mode and on the CPU.

    It is built as the run built it, given the structure that it had in the end, and then its weights. The run must have
    been made with `--keep networks`.

    Args:
        record: the file of the run's record.
        data: the folder of data sets, which tell the network's inputs and outputs.
        scenario: where the scenario is a file's: `file.py:name`.
        strategy: where the strategy is a file's: `file.py:name`.
        model: where the network is a file's: `file.py:name`.

    Raises:
        UsageError: if there is no such record, no network was kept with it, or it cannot be built here.
        DataError: if the scenario's data cannot be read.
    """
    path = Path(record)
    try:
        spec = read(path).spec
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: {why(error)}") from None
    tensors, plan = _stored(path.with_suffix(SUFFIX))
    stream = scenarios.get(scenario or spec.scenario.name)
    method, maker = strategies.get(strategy or spec.strategy.name), models.get(model or spec.model.name)
    benchmark = build_benchmark(spec, stream, Path(data) if data is not None else None, "cpu")
    network: nn.Module = prepare(spec, stream, method, benchmark, "cpu", maker).strategy.model
    try:
        rebuild(network, plan).load_state_dict(tensors)
    except (StructureError, RuntimeError) as error:
        raise UsageError(f"{path.name}: the network of {spec.strategy.name} cannot be built again: {error}") from None
    return network.eval()


def _stored(path: Path) -> tuple[dict[str, object], dict[str, object]]:
    """Read the weights and the blueprint."""
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise UsageError(f"no network was kept in {path}: run with --keep networks")
    try:
        with safe_open(path, framework="pt") as file:
            plan = json.loads((file.metadata() or {})["blueprint"])
            return {name: file.get_tensor(name) for name in file.keys()}, plan  # noqa: SIM118  # it is no mapping
    except (SafetensorError, KeyError, ValueError) as error:
        raise UsageError(f"{path} holds no kept network: {type(error).__name__}: {error}") from None
