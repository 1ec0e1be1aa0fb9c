"""Layers between two others are deleted at one time; translators bridge what no longer fits."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from lifelong import load_scenario, load_strategy
from lifelong.errors import UsageError
from lifelong.records.spec import Budget


def test_layers_between_are_gone_from_the_given_experience_on(trained, events):
    strategy = trained("injure-and-translate", widths=(20, 16, 16, 12), experience=3, experiences=3)
    acted = [(event.experience, event.layer, event.operator) for event in events(strategy)]
    deleted = ["features.fc2", "features.fc3", "features.fc4"]
    assert acted == [(2, layer, "injure") for layer in deleted]
    features = strategy.model.features
    assert len(list(features.fc3.parameters())) == 0  # 16 to 16: the identity
    assert features.fc2[0].weight.shape == (16, 20)  # translators
    assert features.fc4[0].weight.shape == (12, 16)
    held = {id(parameter) for group in strategy.optimizer.param_groups for parameter in group["params"]}
    assert held == {id(parameter) for parameter in strategy.model.parameters()}


def test_the_user_says_between_which_modules(trained, events):
    chosen = {"origin": "features.fc1_relu", "destination": "features.fc3", "experience": 1}
    strategy = trained("injure-and-translate", widths=(20, 20, 20), experiences=1, **chosen)
    assert [event.layer for event in events(strategy)] == ["features.fc2"]
    assert sum(parameter.numel() for parameter in strategy.model.features.parameters()) == 64 * 20 + 20 + 20 * 20 + 20


def test_a_convolution_is_bridged_by_pooling_and_a_convolution_of_size_one():
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 6, 3, stride=2, padding=1), nn.ReLU(),
        nn.Flatten(), nn.Linear(6 * 16, 10),
    )  # fmt: skip
    optimizer = torch.optim.SGD(network.parameters(), 0.1)
    strategy = load_strategy("injure-and-translate", network, optimizer, budget=Budget(epochs=1), experience=1)
    strategy.train(load_scenario("digits-class", seed=0).train_stream[0])
    pool, translator = network[2]
    assert isinstance(pool, nn.AdaptiveAvgPool2d)
    assert (translator.kernel_size, translator.in_channels, translator.out_channels) == ((1, 1), 4, 6)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"origin": "features.fc9"}, "features.fc1"),
        ({"origin": "features.fc1", "destination": "features.fc2"}, "no hidden layer between"),
        ({"origin": "features.fc2", "destination": "features.fc1"}, "no hidden layer between"),
    ],
)
def test_a_gap_that_is_none_is_refused_before_training(trained, wrong, said):
    with pytest.raises(UsageError, match=said):
        trained("injure-and-translate", experiences=0, **wrong)
