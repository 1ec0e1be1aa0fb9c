"""What plug-ins tell of how they changed a network, as a record takes it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor

from lifelong.records.entries import Event

_FIELDS = {name: field.is_required() for name, field in Event.model_fields.items()}


def events_of(plugins: Iterable[Any]) -> list[Event]:
    """The events of every plug-in that has a list of them, as `Plasticity` has, oldest first.

    What is neither finite nor a number becomes None: JSON has no place for it.
    """
    lists = [events for plugin in plugins if isinstance(events := getattr(plugin, "events", None), list)]
    found = [_event(item) for events in lists for item in events if _is_event(item)]
    return sorted(found, key=lambda event: event.step)


def _is_event(item: object) -> bool:
    return all(hasattr(item, name) for name, required in _FIELDS.items() if required)


def _event(item: object) -> Event:
    values = {name: getattr(item, name) for name in _FIELDS if hasattr(item, name)}
    return Event.model_validate({name: finite(value) for name, value in values.items()})


def finite(value: Any) -> Any:
    """The value, but None for a float that is not finite."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def clocks(plugins: Iterable[Any]) -> list[tuple[Any, int]]:
    """The plug-ins that know when each unit was born, as `Plasticity` does, with the updates they have counted."""
    return [(plugin, plugin.step) for plugin in plugins if hasattr(plugin, "births") and hasattr(plugin, "step")]


def newborn(since: Iterable[tuple[Any, int]]) -> Mapping[str, Tensor] | None:
    """Which units were born since then, of shape (units,) for each layer that has any; None where nothing is.

    Units that were there before the first update are as old as the stream, whoever made them.
    """
    masks = {
        layer: births >= max(step, 1)
        for plugin, step in since
        for layer, births in plugin.births.items()
        if bool((births >= max(step, 1)).any())
    }
    return masks or None
