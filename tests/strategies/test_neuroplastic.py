"""Every neuroplastic strategy runs in all protocols, goes on after a pickle unharmed, and tells its needs."""

from __future__ import annotations

import pickle

import cloudpickle
import pytest
import torch

from lifelong.registry import scenarios, strategies

TASK_FREE = {"dropout", "surprise-neurogenesis", "self-building-skips", "drop-and-grow"}
NEED_BOUNDARIES = {
    *("dropin", "neuroplasticity", "dropin-replay", "dropin-ewc", "fuzzy-neurogenesis", "thaw", "thaw-replay"),
    *("grow-to-skill", "prune-to-skill", "merge-similar", "injure-and-translate", "sleep-consolidation"),
}
NEED_CLASSES = {  # their rules read the accuracy, or they store a class
    *("dropin", "neuroplasticity", "dropin-replay", "dropin-ewc", "fuzzy-neurogenesis", "grow-to-skill"),
    *("prune-to-skill", "surprise-neurogenesis"),
}
BUSY = {
    "dropin": {"tolerance": 10.0, "goal": 1.0},
    "neuroplasticity": {"tolerance": 10.0, "goal": 1.0, "removal": "permanent", "relevance": 0.5, "mature": 1},
    "surprise-neurogenesis": {"threshold": 0.4, "cooldown": 2},
    "grow-to-skill": {"goal": 1.0, "patience": 1},
    "prune-to-skill": {"goal": 0.2},
    "merge-similar": {"least": 0.7, "tolerance": 10.0},
    "drop-and-grow": {"interval": 3},
    "thaw": {"epsilon": 1.5},
    "thaw-replay": {"epsilon": 1.5},
}
"""Parameters with which the rules act within three epochs."""


@pytest.mark.slow
@pytest.mark.parametrize("scenario", ["digits-class", "digits-domain", "digits-task"])
@pytest.mark.parametrize("name", sorted(TASK_FREE | NEED_BOUNDARIES))
def test_it_runs_and_goes_on_after_a_pickle_as_if_nothing_had_been(trained, events, name, scenario):
    budget = {"experiences": 2, "epochs": 3, "scenario": scenario, **BUSY.get(name, {})}
    whole = trained(name, **budget)
    torn = trained(name, **budget, between=lambda strategy: pickle.loads(cloudpickle.dumps(strategy)))
    assert events(whole) == events(torn)
    for (one, a), (other, b) in zip(whole.model.named_parameters(), torn.model.named_parameters(), strict=True):
        assert one == other
        assert torch.equal(a, b), one
        assert torch.isfinite(a).all()
    held = {id(parameter) for group in whole.optimizer.param_groups for parameter in group["params"]}
    assert held == {id(parameter) for parameter in whole.model.parameters()}
    if name in BUSY:
        assert events(whole)


@pytest.mark.parametrize("name", sorted(TASK_FREE | NEED_BOUNDARIES))
def test_it_says_what_it_needs(name):
    boundaries = {"task boundaries"} if name in NEED_BOUNDARIES else set()
    classes = {"class labels"} if name in NEED_CLASSES else set()
    assert strategies.get(name).needs == boundaries | classes
    assert strategies.get(name).source
    assert strategies.get(name).refusal(scenarios.get("digits-task")) is None
