"""Networks by name: built in, of another library, of a user's file, or from another distribution.

Importing this file loads neither torch nor Avalanche.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from lifelong.contracts import Protocol
from lifelong.models.contract import HEAD, Model, model
from lifelong.models.libraries import LIBRARIES, library_model
from lifelong.registry import Registry

if TYPE_CHECKING:
    from avalanche.benchmarks import CLScenario
    from torch import nn


@dataclass(frozen=True)
class Models(Registry[Model]):
    """The models by name; `torchvision:resnet18` names one of a library."""

    def get(self, reference: str) -> Model:
        """Return the model of that name, of that `library:name`, or of that `file.py:name`.

        Raises:
            UsageError: if there is none.
        """
        library, colon, name = reference.partition(":")
        return _of_library(library, name) if colon and library in LIBRARIES else super().get(reference)


@cache
def _of_library(library: str, name: str) -> Model:
    return library_model(library, name)


def _plain_model(function: Callable[..., Any]) -> Model:
    return Model(function, function.__name__)


models = Models(Model, "model", "lifelong.models", "lifelong.models.networks", _plain_model)


def build_model(
    reference: str, parameters: Mapping[str, Any], *, protocol: Protocol, benchmark: CLScenario
) -> nn.Module:
    """Build the network of a name for a benchmark (see `lifelong.models.building.build_network`)."""
    from lifelong.models.building import build_network

    return build_network(models.get(reference), parameters, protocol=protocol, benchmark=benchmark)


__all__ = ["HEAD", "Model", "Models", "build_model", "model", "models"]
