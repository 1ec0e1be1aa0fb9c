"""Typed keyword parameters of strategies, scenarios and models: read off a function, checked, told to a person."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import SimpleNamespace, UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from annotated_types import Ge, Gt, Le

from lifelong.errors import UsageError, unknown

Count = Annotated[int, Ge(1)]
"""A parameter of at least one, as a number of samples."""

Weight = Annotated[float, Ge(0)]
"""A parameter that weighs a term of the loss."""

Positive = Annotated[float, Gt(0)]
"""A parameter above zero, as a temperature."""

Share = Annotated[float, Ge(0), Le(1)]
"""A parameter in [0, 1]."""


@dataclass(frozen=True)
class Parameter:
    """One keyword parameter of a strategy, a scenario or a model."""

    name: str
    annotation: Any
    default: Any

    @property
    def type_name(self) -> str:
        """The annotation as a person would write it: `float`, `Literal['a', 'b']`, `int >= 1 | None`."""
        return _written(self.annotation)

    def check(self, owner: str, value: Any) -> Any:
        """The value in the parameter's type.

        Raises:
            UsageError: if the value is not of that type.
        """
        from pydantic import TypeAdapter, ValidationError

        try:
            checked = TypeAdapter(self.annotation).validate_python(value)
            json.dumps(checked, allow_nan=False, default=str)
        except ValidationError as error:
            reason = "; ".join(detail["msg"] for detail in error.errors())
            raise UsageError(f"{owner}.{self.name} = {value!r}: {reason} (its type is {self.type_name})") from None
        except ValueError:  # JSON, in which records are, knows neither infinity nor NaN
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
    """The types of these parameters alone: the others' may be imported for the type checker only."""
    annotations = {name: hint for name, hint in inspect.get_annotations(function).items() if name in names}
    return get_type_hints(
        SimpleNamespace(__annotations__=annotations), globalns=function.__globals__, include_extras=True
    )


def parameters_of(function: Callable[..., Any], skip: int = 1) -> dict[str, Parameter]:
    """The configuration of a function: every parameter after the first `skip`, each with a type and a default.

    Raises:
        UsageError: if a parameter lacks its type or its default.
    """
    configurable = list(inspect.signature(function).parameters.values())[skip:]
    hints = _hints(function, {parameter.name for parameter in configurable})
    found = {}
    for parameter in configurable:
        if parameter.default is parameter.empty or parameter.name not in hints:
            raise UsageError(
                f"{function.__name__}: the parameter {parameter.name!r} needs a type and a default, "
                f"as in {parameter.name}: float = 0.1"
            )
        found[parameter.name] = Parameter(parameter.name, hints[parameter.name], parameter.default)
    return found


def resolve(owner: str, parameters: Mapping[str, Parameter], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Every parameter's value in the parameter's type: the override, else the default.

    Raises:
        UsageError: if an override names no parameter or has the wrong type.
    """
    for name in overrides:
        if name not in parameters:
            raise unknown(f"parameter of {owner}", name, parameters)
    return {
        name: parameter.check(owner, overrides.get(name, parameter.default)) for name, parameter in parameters.items()
    }


__all__ = ["Count", "Parameter", "Positive", "Share", "Weight", "parameters_of", "resolve"]
