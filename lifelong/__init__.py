"""A leaderboard for continual learning in which the contestants may change their own structure."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lifelong.contracts import Context, Scenario, Strategy, scenario, strategy
    from lifelong.errors import DataError, LifelongError, UsageError
    from lifelong.models.contract import Model, model
    from lifelong.records.spec import Budget
    from lifelong.results import Results, board, compare, load_results, run
    from lifelong.training.kept import load_network
    from lifelong.training.prepare import load_scenario, load_strategy
    from lifelong.training.setup import Setup

    __version__: str

__all__ = [
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

_HOMES = {
    "lifelong.contracts": ("Context", "Scenario", "Strategy", "scenario", "strategy"),
    "lifelong.models.contract": ("Model", "model"),
    "lifelong.records.spec": ("Budget",),
    "lifelong.errors": ("DataError", "LifelongError", "UsageError"),
    "lifelong.results": ("Results", "board", "compare", "load_results", "run"),
    "lifelong.training.kept": ("load_network",),
    "lifelong.training.prepare": ("load_scenario", "load_strategy"),
    "lifelong.training.setup": ("Setup",),
}


def __getattr__(name: str) -> Any:
    """Load a name when it is asked for: building networks needs torch, and the command line's help needs nothing."""
    if name == "__version__":
        from importlib.metadata import version

        return version("lifelong")
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(home), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
