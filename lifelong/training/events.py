"""What plug-ins tell of the changes that they made to a network: events, in the form of a record, and units born."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor

from lifelong.records.entries import Event

_FIELDS = {name: field.is_required() for name, field in Event.model_fields.items()}


def events_of(plugins: Iterable[Any]) -> list[Event]:
    """Return the events of every plug-in that keeps a list of them, such as `Plasticity`, oldest first.

    A number that is not finite becomes None, because JSON has no place for it.
    """
    lists = [events for plugin in plugins if isinstance(events := getattr(plugin, "events", None), list)]
    recorded = [_event(item) for events in lists for item in events if _is_event(item)]
    return sorted(recorded, key=lambda event: event.step)


def _is_event(item: object) -> bool:
    return all(hasattr(item, name) for name, required in _FIELDS.items() if required)


def _event(item: object) -> Event:
    values = {name: getattr(item, name) for name in _FIELDS if hasattr(item, name)}
    return Event.model_validate({name: finite(value) for name, value in values.items()})


def finite(value: Any) -> Any:
    """Return the value, or None for a float that is not finite.

    >>> finite(0.5), finite(math.nan), finite("a text")
    (0.5, None, 'a text')
    """
    return None if isinstance(value, float) and not math.isfinite(value) else value


def clocks(plugins: Iterable[Any]) -> list[tuple[Any, int]]:
    """Return the plug-ins that know when each unit was born, such as `Plasticity`, each with the updates it counted."""
    return [(plugin, plugin.step) for plugin in plugins if hasattr(plugin, "births") and hasattr(plugin, "step")]


def newborn(since: Iterable[tuple[Any, int]]) -> Mapping[str, Tensor] | None:
    """Tell which units were born since `clocks` was called.

    Units that were there before the first update are as old as the stream, and never count as born, whoever made them.

    Args:
        since: what `clocks` returned.

    Returns:
        For each layer with such units a mask, bool, of shape (units,); None where no unit was born.
    """
    masks = {
        layer: births >= max(step, 1)
        for plugin, step in since
        for layer, births in plugin.births.items()
        if bool((births >= max(step, 1)).any())
    }
    return masks or None
