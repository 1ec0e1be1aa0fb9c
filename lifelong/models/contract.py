"""What a model is: a function or a class that makes a network, whose typed keyword parameters are its configuration.

Importing this file loads neither torch nor Avalanche.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from lifelong.contracts import Entry
from lifelong.errors import UsageError
from lifelong.parameters import Parameter, parameters_of

OUTPUTS = ("outputs", "num_classes")
"""The names under which a function may ask for the number of outputs."""

GIVEN = ("input_shape", *OUTPUTS)
"""The parameters that the suite gives, by name, to a function that asks for them."""

HEAD = Parameter(
    "head",
    Literal["protocol", "single", "incremental"],
    "protocol",
    "`protocol`: a head for each task where task labels are given, and else a single one; `single`: one head over all "
    "classes; `incremental`: one head, in which classes that were not trained on yet are masked.",
)
"""A parameter that every model has."""


@dataclass(frozen=True)
class Model(Entry):
    """A function that makes a network, or a class of networks.

    It gets, by name, what it asks for: `input_shape`, the shape of one sample, and `outputs` or `num_classes`, the
    number of outputs. A function that asks for the number of outputs makes a whole network; any other one makes a
    feature extractor, from inputs of shape (n, ...) to features of shape (n, width), and the suite adds the head.
    """

    logits: str = "logits"
    """The field of the network's result that holds the logits, where the result is no tensor."""

    @cached_property
    def parameters(self) -> dict[str, Parameter]:
        """The function's keyword parameters by name, and `head`.

        Raises:
            UsageError: if a parameter lacks its type or its default, and is none that the suite gives.
        """
        try:
            own = parameters_of(self._maker, skip=int(self._is_class), given=GIVEN)
        except UsageError as error:
            raise UsageError(f"{error}; what the suite gives is called {', '.join(GIVEN)}") from None
        if HEAD.name in own:
            raise UsageError(f"{self.name}: every model has a parameter {HEAD.name!r} already; call this one otherwise")
        return {**own, HEAD.name: HEAD}

    @property
    def whole(self) -> bool:
        """Tell whether it makes a network with its head, and no feature extractor."""
        return not self.asks.isdisjoint(OUTPUTS)

    @property
    def asks(self) -> set[str]:
        """Return which of `GIVEN` the function asks for."""
        return {name for name in inspect.signature(self._maker).parameters if name in GIVEN}

    def make(self, input_shape: tuple[int, ...], outputs: int, **parameters: Any) -> Any:
        """Make the network or the feature extractor.

        Args:
            input_shape: the shape of one sample.
            outputs: the number of outputs.
            parameters: the value of every parameter but `head`.
        """
        given = {"input_shape": input_shape, **dict.fromkeys(OUTPUTS, outputs)}
        return self.function(**{name: given[name] for name in self.asks}, **parameters)

    @property
    def _maker(self) -> Callable[..., Any]:
        """The function whose signature counts: of a class, its constructor."""
        return vars(self.function).get("__init__", self.function.__init__) if self._is_class else self.function

    @property
    def _is_class(self) -> bool:
        return isinstance(self.function, type)


def model(
    *, source: str = "", version: int = 1, name: str | None = None, logits: str = "logits"
) -> Callable[[Callable[..., Any]], Model]:
    """Make a function or a class a model of the suite. In a file of one's own it may stay as it is, too.

    Args:
        source: the paper or code that the network comes from.
        version: a number to raise whenever a change alters the results.
        name: the name on the board. By default it is the function's own, with dashes.
        logits: the field of the network's result that holds the logits, where the result is no tensor.
    """

    def decorate(function: Callable[..., Any]) -> Model:
        called = name or function.__name__.replace("_", "-")
        return Model(function, called, source=source, version=version, logits=logits)

    return decorate


def as_stored(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return parameters with lists in place of tuples, as a record stores them."""
    return {key: list(value) if isinstance(value, tuple) else value for key, value in values.items()}
