"""A check that the parts of a rule were given numbers where they take numbers."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from inspect import formatannotation
from math import isnan
from numbers import Integral, Real
from typing import Any

from lifelong.errors import UsageError


def check_numbers(part: Any) -> None:
    """Check all fields of a dataclass that are annotated as numbers, and those of the dataclasses in its fields.

    Raises:
        UsageError: if a field holds something else, or NaN, because every comparison with NaN is false.
    """
    for field in fields(part) if is_dataclass(part) else ():
        if not field.init:  # what a part counts for itself was given by nobody
            continue
        value, taken = getattr(part, field.name), _kinds(field.type)
        if is_dataclass(value) and not isinstance(value, type):
            check_numbers(value)
        elif taken & {"int", "float"} and not _fits(value, taken):
            kind = "number" if "float" in taken else "whole number"
            raise UsageError(f"{type(part).__name__}: {field.name} = {value!r} is no {kind}")


def _kinds(annotation: Any) -> set[str]:
    """Return the types that an annotation joins by `|`, as text, because postponed annotations are text."""
    text = annotation if isinstance(annotation, str) else formatannotation(annotation)
    return set(text.replace(" ", "").split("|"))


def _fits(value: Any, taken: set[str]) -> bool:
    """Tell whether a value is one of these types, as far as numbers are concerned."""
    if isinstance(value, Real):
        return isinstance(value, Integral) or ("float" in taken and not isnan(value))
    # Other types beside numbers, such as a schedule or a function, are checked by the part itself; text is never meant.
    return value is None or (bool(taken - {"int", "float", "None"}) and not isinstance(value, str))
