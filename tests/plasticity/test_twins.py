"""Rules know the same units by different names along a residual stream, and follow layers whose names change."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from lifelong import Setup, load_scenario
from lifelong.plasticity import (
    AtSteps,
    Below,
    Grow,
    InsertLayer,
    Lowest,
    Mark,
    MeanActivation,
    Plasticity,
    Remove,
    Rule,
    Split,
    WeightNorm,
)
from lifelong.records.spec import Budget


class Residual(nn.Module):
    """Has two layers that write to one stream of units, and one layer within the block."""

    def __init__(self):
        super().__init__()
        self.stem, self.inner, self.back = nn.Linear(64, 12), nn.Linear(12, 7), nn.Linear(7, 12)
        self.head = nn.Linear(12, 10)

    def forward(self, x):
        h = self.stem(x.flatten(1)).relu()
        return self.head(h + self.back(self.inner(h).relu()))


def train(*rules):
    torch.manual_seed(0)
    network = Residual()
    plugin = Plasticity(*rules)
    strategy = Setup(network, torch.optim.Adam(network.parameters(), 0.01), Budget(batch_size=32)).naive(plugin)
    strategy.train(load_scenario("digits-class", seed=0).train_stream[0])
    return network, plugin


@pytest.mark.parametrize(("changed", "watched"), [("stem", "back"), ("back", "stem")])
def test_a_score_follows_a_change_that_another_rule_makes_under_another_name(changed, watched):
    score = Below(MeanActivation(0.9), -1.0)
    network, plugin = train(
        Rule(when=AtSteps([3]), what=Remove(), which=Lowest(WeightNorm(), count=4), layers=[changed]),
        Rule(when=AtSteps([4]), what=Grow(2), layers=[changed]),
        Rule(when=AtSteps([5]), what=Split(), which=score, layers=[watched]),
    )
    assert network.stem.out_features == network.back.out_features == 10
    held = plugin.rules[2].which.score.state[watched]
    assert held["mean"].shape == held["seen"].shape == (10,)
    assert held["seen"][:8].tolist() == [float(plugin.step)] * 8  # survivors were seen at every update
    assert held["seen"][8:].tolist() == [float(plugin.step - 4)] * 2


def test_a_score_that_looks_at_a_layer_that_was_renamed_at_the_same_update():
    network, plugin = train(
        Rule(when=AtSteps([3]), what=InsertLayer(hidden=3), layers=["inner"]),
        Rule(when=AtSteps([3, 6]), what=Remove(), which=Lowest(MeanActivation(), count=1), layers=["inner"]),
        Rule(when=AtSteps([7]), what=Mark()),
    )
    assert [(event.operator, event.count) for event in plugin.events if event.operator == "remove"] == [
        ("remove", 1)
    ] * 2
    assert network.head.out_features == 10
