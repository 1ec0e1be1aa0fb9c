"""Each family holds its strategies and their machinery."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

import pytest

from lifelong.registry import strategies

FAMILIES = sorted({entry.function.__module__ for entry in strategies.all().values() if entry.file is None})


@pytest.mark.parametrize("family", FAMILIES)
def test_no_file_of_a_family_has_the_name_of_one_of_its_strategies(family):
    """Importing `family/x.py` rebinds `family.x`, so that the strategy `x` would be lost to whoever looks there."""
    module = import_module(family)
    files = {found.name for found in iter_modules(getattr(module, "__path__", ()))}
    functions = {entry.function.__name__ for entry in strategies.all().values() if entry.function.__module__ == family}
    assert not files & functions
