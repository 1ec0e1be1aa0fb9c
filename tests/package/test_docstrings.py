"""Docstrings name the parameters that there are, in their order, under `Args:`."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from lifelong.contracts import Entry
from lifelong.models import Model

ROOT = Path(__file__).parents[2]
FOLDERS = {"lifelong": "lifelong", "strategies": "lifelong.strategies", "scenarios": "lifelong.scenarios"}
APART = {"lifelong.running.preload"}
"""Modules that no process imports but the server of processes: an import redirects the standard error."""


def section(docstring: str, title: str) -> str | None:
    """The indented lines below a section's title, or None where there is no such section."""
    found = re.search(rf"^{title}:\n((?:[ ]{{4}}.*\n|\n)*)", f"{docstring}\n", flags=re.MULTILINE)
    return found[1] if found else None


def documented(text: str) -> list[str]:
    """The names that a section describes, one or several (`a, b: ...`) in an entry, without the stars of `*args`."""
    entries = re.findall(r"^ {4}((?:\*{0,2}\w+)(?:, \*{0,2}\w+)*)(?: \(.*?\))?:", text, flags=re.MULTILINE)
    return [name.lstrip("*") for entry in entries for name in entry.split(", ")]


def fault(signature: inspect.Signature, docstring: str) -> str | None:
    """What is wrong with the parameters that a docstring describes; None where all is well.

    A description of `*args` and `**kwargs` may be left out, and so may those of private parameters.
    """
    if section(docstring, "Parameters") is not None:
        return "the section of parameters is named `Args:`"
    if (text := section(docstring, "Args")) is None:
        return None
    known = {name: parameter for name, parameter in signature.parameters.items() if name not in ("self", "cls")}
    told = documented(text)
    optional = {
        name
        for name, parameter in known.items()
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD) or name.startswith("_")
    }
    expected = [name for name in known if name in told or name not in optional]
    if unknown := [name for name in told if name not in known]:
        return f"no parameter {', '.join(unknown)}"
    if missing := [name for name in expected if name not in told]:
        return f"nothing is said of {', '.join(missing)}"
    return None if told == expected else f"in another order than {', '.join(expected)}"


Described = tuple[str, Callable[..., Any]]


def described(name: str, value: Any, module: str) -> Iterator[Described]:
    """What a module makes that may have parameters: functions, classes, and their methods."""
    value = inspect.unwrap(value) if callable(value) else value
    if getattr(value, "__module__", None) != module or not (inspect.isfunction(value) or inspect.isclass(value)):
        return
    yield name, value
    for attribute, inner in vars(value).items() if inspect.isclass(value) else ():
        function = getattr(inner, "__func__", inner)
        if inspect.isfunction(function):
            yield from described(f"{name}.{attribute}", function, module)


def faults_of(module: str) -> Iterator[str]:
    """What is wrong in a module, each with its place."""
    for key, value in vars(import_module(module)).items():
        is_entry = isinstance(value, Entry)
        unsaid = 1 if is_entry and not isinstance(value, Model) else 0  # what the suite gives by position
        for name, one in described(key, value.function if is_entry else value, module):
            docstring = inspect.cleandoc(one.__doc__ or "")
            if section(docstring, "Args") is None and section(docstring, "Parameters") is None:
                continue
            signature = inspect.signature(one)
            signature = signature.replace(parameters=list(signature.parameters.values())[unsaid:])
            if what := fault(signature, docstring):
                yield f"{module}.{name}: {what}"


def modules(folder: str) -> Iterator[str]:
    for file in sorted((ROOT / folder).rglob("*.py")):
        name = ".".join((FOLDERS[folder], *file.relative_to(ROOT / folder).with_suffix("").parts))
        if (name := name.removesuffix(".__init__")) not in APART:
            yield name


@pytest.mark.parametrize("folder", FOLDERS)
def test_docstrings_describe_the_parameters_that_there_are(folder: str) -> None:
    names = list(modules(folder))
    assert names
    faults = [one for name in names for one in faults_of(name)]
    assert not faults, "\n".join(faults)


def example(one: int, *rest: int, two: int = 2, _hidden: int = 0, **more: int) -> None:
    """Have a parameter of each kind."""


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("one: the first.\ntwo: the second.", None),
        ("one, two: both.", None),
        ("one: the first, told of\n    in: two lines.\n*rest: others.\ntwo (int): the second.\n**more: more.", None),
        ("one: the first.", "nothing is said of two"),
        ("one: the first.\ntwo: the second.\nthree: the third.", "no parameter three"),
        ("two: the second.\none: the first.", "in another order than one, two"),
    ],
)
def test_the_rule_tells_right_from_wrong(lines: str, expected: str | None) -> None:
    indented = "\n".join(f"    {line}" for line in lines.splitlines())
    check: Callable[[str], str | None] = partial(fault, inspect.signature(example))
    assert check(f"Do something.\n\nArgs:\n{indented}\n\nReturns:\n    Nothing.") == expected
    assert check(f"Do something.\n\nParameters:\n{indented}") == "the section of parameters is named `Args:`"
    assert check("Do something.") is None
