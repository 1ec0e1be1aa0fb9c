"""A leaderboard for continual learning in which the contestants may change their own structure."""

from __future__ import annotations

from importlib.metadata import version as _version
from typing import TYPE_CHECKING, Any

from lifelong.contracts import Context, Scenario, Strategy, scenario, strategy
from lifelong.errors import DataError, LifelongError, UsageError

if TYPE_CHECKING:
    from lifelong.running.setup import Setup, load_scenario, load_strategy

__version__ = _version("lifelong")
__all__ = [
    "Context",
    "DataError",
    "LifelongError",
    "Scenario",
    "Setup",
    "Strategy",
    "UsageError",
    "__version__",
    "load_scenario",
    "load_strategy",
    "scenario",
    "strategy",
]


def __getattr__(name: str) -> Any:
    """What builds networks brings torch along, so it is loaded when it is asked for."""
    if name in {"Setup", "load_scenario", "load_strategy"}:
        from lifelong.running import setup

        return getattr(setup, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
