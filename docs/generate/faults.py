"""The page of Avalanche's faults, from the docstrings of what works around them."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType
from typing import Any

from generate.writing import fill

SECTIONS = re.compile(r"\n+(?:Args|Attributes|Raises|Returns):\n.*", re.DOTALL)
"""What a docstring says to who calls it."""


def fault_page() -> str:
    """Return a section for each module of `lifelong.workarounds`, with what it works around."""
    package = import_module("lifelong.workarounds")
    modules = [import_module(f"{package.__name__}.{module.name}") for module in iter_modules(package.__path__)]
    return fill(
        "workarounds.md",
        modules=[(module.__name__, inspect.getdoc(module), list(_workarounds(module))) for module in modules],
    )


def _workarounds(module: ModuleType) -> Iterator[tuple[str, str, str]]:
    """Yield the name of each workaround, Avalanche's class that it stands for, and what is wrong there."""
    for name, value in vars(module).items():
        own = getattr(value, "__module__", "") == module.__name__ and not name.startswith("_")
        text = SECTIONS.sub("", inspect.getdoc(value) or "") if own else ""
        if text and ("Avalanche" in text or _original(value)):
            yield name, _original(value), text


def _original(value: Any) -> str:
    """The class of Avalanche that a workaround derives from; empty where it is a function, or derives from none."""
    bases = value.__mro__[1:] if isinstance(value, type) else ()
    return next((base.__name__ for base in bases if base.__module__.startswith("avalanche.")), "")
