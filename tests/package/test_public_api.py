"""What users may import, and what an import costs."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

import lifelong

HEAVY = {
    *("altair", "avalanche", "jinja2", "numpy", "pydantic", "scipy"),
    *("sklearn", "torch", "torchvision", "vl_convert", "wandb"),
}


def test_the_public_names() -> None:
    assert lifelong.__all__ == [
        "Budget",
        "Context",
        "DataError",
        "LifelongError",
        "Model",
        "Results",
        "Scenario",
        "Setup",
        "Strategy",
        "UsageError",
        "__version__",
        "board",
        "compare",
        "load_network",
        "load_results",
        "load_scenario",
        "load_strategy",
        "model",
        "run",
        "scenario",
        "strategy",
    ]


@pytest.mark.parametrize("name", lifelong.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(lifelong, name) is not None


def test_an_absent_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = lifelong.nothing


@pytest.mark.parametrize("module", ["lifelong", "lifelong.cli", "lifelong.registry"])
def test_an_import_loads_nothing_heavy(module: str) -> None:
    script = f"import {module}, json, sys; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert HEAVY.isdisjoint(name.partition(".")[0] for name in json.loads(done.stdout))
