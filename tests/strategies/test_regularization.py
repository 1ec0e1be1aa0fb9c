"""Penalties on weights and features, beside those of the baselines."""

from __future__ import annotations

from typing import Any

import pytest
import torch


def test_online_ewc_is_ewc_online(trained: Any) -> None:
    weights = []
    for name, parameters in (("online-ewc", {}), ("ewc", {"mode": "online"})):
        strategy = trained(name, experiences=3, ewc_lambda=10.0, decay_factor=0.5, **parameters)
        weights.append(torch.cat([weight.detach().flatten() for weight in strategy.model.parameters()]))
    assert torch.equal(*weights)


@pytest.mark.parametrize(("name", "strength"), [("rwalk", "ewc_lambda"), ("lfl", "lambda_e")])
def test_a_stronger_penalty_holds_the_network_closer(trained: Any, name: str, strength: str) -> None:
    """To where it was after the first experience, by the features of what is new."""
    moved = []
    for value in (0.0, 1000.0):
        first = trained(name, "digits-task", experiences=1, epochs=3, **{strength: value})
        second = trained(name, "digits-task", experiences=2, epochs=3, **{strength: value})
        weights = [network.model.features.state_dict() for network in (first, second)]
        moved.append(sum(float((weights[0][key] - weights[1][key]).square().sum()) for key in weights[0]))
    assert moved[1] < 0.2 * moved[0]


def test_lfl_freezes_the_classifier_and_not_heads_to_come(trained: Any) -> None:
    single = trained("lfl", experiences=1).model.classifier
    assert not any(weight.requires_grad for weight in single.parameters())
    heads = trained("lfl", "digits-task", experiences=2).model.classifier.classifiers
    assert [head.classifier.weight.requires_grad for head in heads.values()] == [False, False, True, True, True]
