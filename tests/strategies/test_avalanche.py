"""Whatever Avalanche trains a classifier with is on the list, and says which class of Avalanche it is or stands for."""

from __future__ import annotations

from avalanche import models
from avalanche.training import plugins, supervised
from avalanche.training.plugins import cope
from avalanche.training.supervised import lamaml_v2

from lifelong.registry import strategies

PLACES = (supervised, plugins, models, cope, lamaml_v2)
NAMED = {entry.avalanche for entry in strategies.all().values()} - {""}
GENERATORS = {"AETraining", "VAETraining"}
ELSEWHERE = {"FeCAMClassifier", "LaMAML", "NCMClassifier", "PPPloss", "RARPlugin", "RWalkPlugin"}
"""Methods that are no strategy of Avalanche's own list."""


def test_every_method_of_avalanche_is_here() -> None:
    methods = {name for name, value in vars(supervised).items() if isinstance(value, type)}
    assert sorted((methods | ELSEWHERE) - GENERATORS - NAMED) == []


def test_what_is_named_is_a_class_of_avalanche() -> None:
    assert sorted(name for name in NAMED if not any(hasattr(place, name) for place in PLACES)) == []
