"""What is taken from plug-ins into a record."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from lifelong.plasticity.plugin import Event as Told
from lifelong.records.entries import Event
from lifelong.training.events import clocks, events_of, newborn

TOLD = Told(7, 1, "surprised", 3.5, "0", "grow", 2, 10, 20, 1.5, 1.25, "clipped")


@dataclass
class Plugin:
    events: Any = None
    births: dict[str, Tensor] = field(default_factory=dict)
    step: int = 0


def test_every_field_is_taken() -> None:
    (found,) = events_of([Plugin([TOLD])])
    assert found.model_dump() == vars(TOLD)
    assert set(Event.model_fields) == set(vars(TOLD))


def test_events_of_several_plugins_come_in_order() -> None:
    one, other = Plugin([TOLD, replace(TOLD, step=9, layer="2")]), Plugin([replace(TOLD, step=8)])
    found = events_of([object(), one, Plugin(None), other, Plugin(["not an event"])])
    assert [(event.step, event.layer) for event in found] == [(7, "0"), (8, "0"), (9, "2")]


def test_what_json_has_no_place_for_is_none() -> None:
    (found,) = events_of([Plugin([replace(TOLD, value=math.inf, loss_before=math.nan, loss_after=-math.inf)])])
    assert (found.value, found.loss_before, found.loss_after) == (None, None, None)


def test_newborn_units_were_born_since() -> None:
    plugin = Plugin(step=5)
    since = clocks([object(), plugin])
    plugin.births = {"0": torch.tensor([0, 4, 5, 9]), "2": torch.tensor([0, 3])}
    plugin.step = 10
    found = newborn(since)
    assert found is not None
    assert {name: mask.tolist() for name, mask in found.items()} == {"0": [False, False, True, True]}


def test_what_was_there_before_the_first_update_is_not_newborn() -> None:
    plugin = Plugin()
    since = clocks([plugin])
    plugin.births = {"0": torch.tensor([0, 0])}
    assert newborn(since) is None
    plugin.births = {"0": torch.tensor([0, 1])}
    found = newborn(since)
    assert found is not None
    assert found["0"].tolist() == [False, True]
    assert newborn(clocks([object()])) is None
