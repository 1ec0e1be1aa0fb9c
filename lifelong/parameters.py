"""Typed keyword parameters of strategies, scenarios and models: read from a function, checked, and shown to a user."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import SimpleNamespace, UnionType
from typing import TYPE_CHECKING, Annotated, Any, Union, get_args, get_origin, get_type_hints

from annotated_types import Ge, Gt, Le

from lifelong.errors import UsageError, unknown

if TYPE_CHECKING:
    from pydantic import TypeAdapter

Count = Annotated[int, Ge(1)]
"""A whole number that is at least one, such as a number of samples."""

Weight = Annotated[float, Ge(0)]
"""The weight of a term of the loss, at least zero."""

Positive = Annotated[float, Gt(0)]
"""A number above zero, such as a temperature."""

Share = Annotated[float, Ge(0), Le(1)]
"""A number in [0, 1]."""


@dataclass(frozen=True)
class Parameter:
    """One keyword parameter of a strategy, a scenario or a model."""

    name: str
    annotation: Any
    default: Any
    explanation: str = ""
    """What it is, where no docstring tells."""

    @property
    def type_name(self) -> str:
        """The annotation as a person would write it: `float`, `Literal['a', 'b']`, `int >= 1 | None`."""
        return _written(self.annotation)

    @cached_property
    def _adapter(self) -> TypeAdapter[Any]:
        from pydantic import TypeAdapter

        return TypeAdapter(self.annotation)

    def check(self, owner: str, value: Any) -> Any:
        """Return a value converted to the parameter's type.

        Args:
            owner: the name of the strategy, scenario or model, for the message.
            value: the value to check.

        Raises:
            UsageError: if the value is not of that type, or is infinite or NaN.
        """
        from pydantic import ValidationError

        try:
            checked = self._adapter.validate_python(value)
            json.dumps(checked, allow_nan=False, default=str)
        except ValidationError as error:
            reason = "; ".join(detail["msg"] for detail in error.errors())
            raise UsageError(f"{owner}.{self.name} = {value!r}: {reason} (its type is {self.type_name})") from None
        except ValueError:  # records are JSON, which has neither infinity nor NaN
            raise UsageError(f"{owner}.{self.name} = {value!r}: write a finite number") from None
        return checked


def _written(annotation: Any) -> str:
    if get_origin(annotation) in (Union, UnionType):
        return " | ".join(map(_written, get_args(annotation)))
    text = inspect.formatannotation(annotation).replace("typing.", "").replace("NoneType", "None")
    for kind, sign in (("Ge", ">="), ("Gt", ">"), ("Le", "<="), ("Lt", "<")):
        text = re.sub(rf", {kind}\(\w+=([^()]+)\)", rf" {sign} \1", text)
    return re.sub(r"Annotated\[([^\[\]]+)\]", r"\1", text)


def _hints(function: Callable[..., Any], names: set[str]) -> dict[str, Any]:
    """Return the types of these parameters only, because other types may be imported for the type checker alone."""
    annotations = {name: hint for name, hint in inspect.get_annotations(function).items() if name in names}
    return get_type_hints(
        SimpleNamespace(__annotations__=annotations), globalns=function.__globals__, include_extras=True
    )


def parameters_of(function: Callable[..., Any], skip: int = 1, given: Collection[str] = ()) -> dict[str, Parameter]:
    """Read the configuration of a function from its signature.

    Args:
        function: a strategy, a scenario or a model.
        skip: how many parameters the suite itself gives by position; they come first.
        given: the names of parameters that the suite gives by name.

    Returns:
        Every other parameter by name. Each has a type and a default.

    Raises:
        UsageError: if a parameter lacks its type or its default.
    """
    asked = list(inspect.signature(function).parameters.values())[skip:]
    configurable = [parameter for parameter in asked if parameter.name not in given]
    hints = _hints(function, {parameter.name for parameter in configurable})
    parameters = {}
    for parameter in configurable:
        if parameter.default is parameter.empty or parameter.name not in hints:
            raise UsageError(
                f"{function.__name__}: the parameter {parameter.name!r} needs a type and a default, "
                f"as in {parameter.name}: float = 0.1"
            )
        parameters[parameter.name] = Parameter(parameter.name, hints[parameter.name], parameter.default)
    return parameters


def resolve(owner: str, parameters: Mapping[str, Parameter], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Return the value of every parameter, in the parameter's type: the override, else the default.

    Args:
        owner: the name of the strategy, scenario or model, for the message.
        parameters: the parameters by name.
        overrides: values that differ from the defaults.

    Raises:
        UsageError: if an override names no parameter or has the wrong type.

    >>> def replay(setup, mem_size: Count = 200, alpha: Share = 0.5): ...
    >>> resolve("replay", parameters_of(replay), {"mem_size": 50})
    {'mem_size': 50, 'alpha': 0.5}
    """
    for name in overrides:
        if name not in parameters:
            raise unknown(f"parameter of {owner}", name, parameters)
    return {
        name: parameter.check(owner, overrides.get(name, parameter.default)) for name, parameter in parameters.items()
    }
