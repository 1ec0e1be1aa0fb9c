"""The plug-in beside others, and what it keeps when they change or replace the network."""

from __future__ import annotations

import pytest
import torch
from avalanche.models import SimpleMLP
from avalanche.models.packnet import PackNetPlugin, packnet_simple_mlp
from avalanche.training import plugins as stock
from avalanche.training import supervised
from torch import nn

from lifelong import UsageError
from lifelong.plasticity import (
    Dormant,
    Every,
    Grow,
    InsertLayer,
    Lowest,
    Mark,
    MeanActivation,
    Plasticity,
    Remove,
    Rule,
    WeightNorm,
)
from lifelong.workarounds.evaluating import no_evaluator


class Started(WeightNorm):
    """Counts the updates that it saw of each unit."""

    def observe(self, moment, layer):
        counts = self.state.setdefault(layer, {})
        counts["seen"] = counts.get("seen", torch.zeros(moment.layer(layer).units)) + 1


def test_gdumb_begins_anew_with_each_experience(made, benchmark, check_parameters):
    score = Started()
    plugin = Plasticity(
        Rule(when=Every(steps=2), what=Grow(1), layers=["features.0"]),
        Rule(when=Every(steps=1000), what=Remove(), which=Lowest(score, count=1), layers=["features.0"]),
    )
    strategy = made("GDumb", "mlp", "adam", plugin, mem_size=32)
    for experience in benchmark().train_stream:
        born = plugin.step
        strategy.train(experience)
        steps = plugin.step - born
        assert strategy.model.features[0].out_features == 8 + steps // 2
        expected = [0] * 8 + [born + 2 * (number + 1) for number in range(steps // 2)]
        if born == 0:
            assert plugin.births["features.0"].tolist() == expected
        assert plugin.births["features.0"].tolist()[8:] == expected[8:]
        seen = plugin.rules[1].which.score.state["features.0"]["seen"]
        assert seen.max() == steps  # not those of the network before
        check_parameters(strategy)


def test_two_plugins_in_one_strategy_learn_of_each_others_changes(made, benchmark, check_parameters):
    score = Started()
    grows = Plasticity(Rule(when=Every(steps=2), what=Grow(2), layers=["features.0"]))
    removes = Plasticity(
        Rule(when=Every(steps=3), what=Remove(), which=Lowest(score, count=1, mature=1), layers=["features.0"])
    )
    strategy = made("Naive", "mlp", "adam", grows, removes)
    for experience in benchmark().train_stream:
        strategy.train(experience)
        check_parameters(strategy)
    units = strategy.model.features[0].out_features
    assert units == 8 + 2 * (grows.step // 2) - grows.step // 3
    assert torch.equal(grows.births["features.0"], removes.births["features.0"])
    assert grows.widths == removes.widths
    assert len(removes.rules[0].which.score.state["features.0"]["seen"]) == units


def test_two_plugins_do_what_one_plugin_does(made, benchmark):
    grow = Rule(when=Every(steps=3), what=Grow(1), layers=["features.0"])
    remove = Rule(
        when=Every(steps=4), what=Remove(), which=Lowest(WeightNorm(), count=1, mature=2), layers=["features.3.0"]
    )
    found = []
    for plugins in ([Plasticity(grow), Plasticity(remove)], [Plasticity(grow, remove)]):
        strategy = made("Naive", "mlp", "sgd", *plugins)
        for experience in benchmark().train_stream:
            strategy.train(experience)
        found.append([(event.step, event.layer, event.count) for plugin in plugins for event in plugin.events])
    assert sorted(found[0]) == sorted(found[1])


def test_what_is_known_of_a_layer_follows_it_to_another_name(made, benchmark):
    plugin = Plasticity(
        Rule(when=Every(steps=2).at_most(1), what=Grow(3), layers=["features.0"]),
        Rule(when=Every(steps=3).at_most(1), what=InsertLayer(hidden=2), layers=["features.0"]),
        Rule(when=Every(steps=4).at_most(1), what=Remove(), which=Lowest(MeanActivation(), count=1, mature=1)),
    )
    strategy = made("Naive", SimpleMLP(6, 16, 8, 1), "sgd", plugin)
    strategy.train(benchmark().train_stream[0])
    assert "features.0" not in plugin.births
    assert plugin.births["features.0.0"].tolist().count(2) in (2, 3)  # one unit was removed, of whichever age
    assert plugin.initial["features.0.0"] == 8


def test_a_trigger_follows_a_change_that_another_rule_makes_under_another_name(made, benchmark):
    plugin = Plasticity(
        Rule(when=Every(steps=3), what=Grow(1), layers=["stem"]),
        Rule(when=Dormant(samples=300, steps=2), what=Mark(), layers=["back"]),
    )
    strategy = made("Naive", "residual", "sgd", plugin)
    for experience in benchmark().train_stream:
        strategy.train(experience)
    assert plugin.step == 12  # the last update was followed by a change
    assert {rows.shape[1] for rows in plugin.rules[1].when._seen["back"]} == {4 + 4}


def test_layers_that_share_their_units_are_born_together(made, benchmark):
    plugin = Plasticity(Rule(when=Every(steps=2).at_most(1), what=Grow(1)))
    strategy = made("Naive", "slim-resnet18", "sgd", plugin)
    strategy.train(benchmark().train_stream[0])
    assert set(plugin.births) == set(plugin.widths)
    for layer, births in plugin.births.items():
        assert births.tolist()[-1] == 2
        assert len(births) == plugin.widths[layer]


@pytest.mark.parametrize(
    ("plugin", "reason"),
    [
        (stock.LFLPlugin(1.0), "compares each feature"),
        (stock.FeatureDistillationPlugin(), "compares each feature"),
        (PackNetPlugin(1), "masks of its tasks"),
        (stock.CWRStarPlugin(nn.Linear(2, 2)), "stored rows"),
    ],
)
def test_plugins_that_cannot_follow_are_refused_before_training(plugin, reason, made, benchmark, rules):
    network = packnet_simple_mlp(6, 16, 8) if isinstance(plugin, PackNetPlugin) else SimpleMLP(6, 16, 8)
    strategy = made("Naive", network, "sgd", Plasticity(*rules()), plugin, train_epochs=2)
    before = [parameter.clone() for parameter in network.parameters()]
    with pytest.raises(UsageError, match=f"beside {type(plugin).__name__}: .*{reason}"):
        strategy.train(benchmark().train_stream[0])
    assert all(torch.equal(a, b) for a, b in zip(before, network.parameters(), strict=True))


def test_a_strategy_that_tells_of_no_update_is_refused(benchmark, rules):
    network = SimpleMLP(6, 16, 8)
    strategy = supervised.MER(
        model=network,
        optimizer=torch.optim.SGD(network.parameters(), 0.1),
        criterion=nn.CrossEntropyLoss(),
        plugins=[Plasticity(*rules())],
        evaluator=no_evaluator(),
    )
    with pytest.raises(UsageError, match="does not work in MER"):
        strategy.train(benchmark().train_stream[0])
