"""Penalties that are stronger hold a network closer."""

from __future__ import annotations

from typing import Any

import pytest


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
