"""New units where the network is surprised store the event; a fuzzy system says how many where it gets no better."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from avalanche.core import SupervisedPlugin
from avalanche.models import avalanche_forward
from torch import nn

from lifelong.errors import UsageError
from lifelong.plasticity import Batch
from lifelong.structure import Structure, create_units

# Surprise


@pytest.fixture(scope="module")
def imprinted(beside):
    return beside("surprise-neurogenesis", "imprint").Imprinted


def one(x, y, network):
    return Batch(x, y, torch.zeros(1, dtype=torch.int64), network(x), nn.CrossEntropyLoss())


def test_a_stored_event_worked_by_hand(imprinted):
    """The layer reads a = (3, 4): the unit's weights are a / (0.5 x 25), its bias 1 - 1 / 0.5.

    The logits are (2, 0), the target is 1: the residual is (-p, p) with p = 1 / (1 + exp(-2)); the factor that puts the
    second logit 1 above the first is (1 + 2) / 2p, so that 1.5 goes from the first to the second.
    """
    network = nn.Sequential(nn.Linear(2, 1), nn.ReLU(), nn.Linear(1, 2))
    with torch.no_grad():
        network[0].weight.zero_()
        network[0].bias.zero_()
        network[2].bias.copy_(torch.tensor([2.0, 0.0]))
    x, y = torch.tensor([[3.0, 4.0]]), torch.tensor([1])
    create_units(Structure(network, x), "0", 1, imprinted(one(x, y, network), width=0.5))
    assert network[0].weight[1].tolist() == pytest.approx([0.24, 0.32])
    assert network[0].bias[1].item() == pytest.approx(-1.0)
    assert network[2].weight[:, 1].tolist() == pytest.approx([-1.5, 1.5])
    assert network(x)[0].tolist() == pytest.approx([0.5, 1.5])


def test_a_unit_is_silent_for_what_is_unlike_its_event(imprinted):
    network = nn.Sequential(nn.Linear(2, 1), nn.ReLU(), nn.Linear(1, 2))
    x, y = torch.tensor([[3.0, 4.0]]), torch.tensor([1])
    create_units(Structure(network, x), "0", 1, imprinted(one(x, y, network), width=0.2))
    hidden = network[:2](torch.tensor([[3.0, 4.0], [2.4, 3.2], [-4.0, 3.0], [0.0, 0.0]]))[:, 1]
    assert hidden.tolist() == pytest.approx([1.0, 0.0, 0.0, 0.0], abs=1e-6)


def test_an_event_that_would_be_right_anyway_gets_its_bare_residual(imprinted):
    network = nn.Sequential(nn.Linear(2, 1), nn.ReLU(), nn.Linear(1, 3))
    with torch.no_grad():
        network[2].weight.zero_()
        network[2].bias.copy_(torch.tensor([0.0, 5.0, 0.0]))
    x, y = torch.tensor([[3.0, 4.0]]), torch.tensor([1])
    before = network(x)[0]
    create_units(Structure(network, x), "0", 1, imprinted(one(x, y, network), width=0.5))
    residual = torch.tensor([0.0, 1.0, 0.0]) - before.softmax(0)
    assert (network(x)[0] - before).tolist() == pytest.approx(residual.tolist(), abs=1e-6)


class Stored(SupervisedPlugin):
    """Whether the most surprising sample of a batch is answered rightly right after an event."""

    def __init__(self):
        super().__init__()
        self.known, self.right = 0, []

    def after_update(self, strategy, **_):
        rules = strategy.plugins[0]
        if len(rules.events) > self.known:
            self.known = len(rules.events)
            chances = strategy.mb_output.softmax(1).gather(1, strategy.mb_y[:, None])[:, 0]
            worst = int(chances.argmin())
            strategy.model.eval()
            output = avalanche_forward(strategy.model, strategy.mb_x, strategy.mb_task_id)
            strategy.model.train()
            self.right.append(int(output[worst].argmax()) == int(strategy.mb_y[worst]))


@pytest.mark.parametrize("scenario", ["digits-class", "digits-domain", "digits-task"])
def test_surprising_events_are_stored_in_one_shot(trained, events, scenario):
    surprising = {"threshold": 0.55, "cooldown": 3}
    strategy = trained("surprise-neurogenesis", scenario, epochs=2, watch=(stored := Stored()), **surprising)
    acted = events(strategy)
    assert len(stored.right) == len(acted) >= 2
    assert all(stored.right)
    assert {event.layer for event in acted} == {"features.fc2"}
    assert all(event.value > 0.55 for event in acted)
    assert strategy.model.features.fc2.out_features == 16 + len(acted)
    assert all(b.step - a.step >= 3 for a, b in pairwise(acted))


def test_nothing_is_stored_below_the_threshold_or_past_the_cap(trained, events):
    assert not events(trained("surprise-neurogenesis", threshold=0.9999))
    strategy = trained("surprise-neurogenesis", threshold=0.3, cooldown=1, cap=1.25, epochs=3)
    assert strategy.model.features.fc2.out_features == 20
    assert "1.25 times" in events(strategy)[-1].note


def test_a_network_without_a_place_for_events_is_refused(trained):
    with pytest.raises(UsageError, match="no units that may change"):
        trained("surprise-neurogenesis", widths=())


@pytest.mark.parametrize("wrong", [{"threshold": 1.0}, {"cap": 1.0}, {"width": 0.0}])
def test_bad_values_are_refused_before_training(trained, wrong):
    with pytest.raises(UsageError, match=r"threshold|cap|width"):
        trained("surprise-neurogenesis", experiences=0, **wrong)


# The fuzzy system


@pytest.fixture(scope="module")
def inferred_growth(beside):
    return beside("fuzzy-neurogenesis", "fuzzy").inferred_growth


@pytest.mark.parametrize(
    ("accuracy", "drop", "growth"),
    [
        (0.5, 0.1, 0.5),  # medium, small: all of "some", a symmetric triangle
        (1.0, 0.0, 1 / 6),  # high, none: all of "few", a right triangle with its weight at 0
        (0.0, 0.2, 5 / 6),  # low, large: all of "many"
        (0.0, 0.7, 5 / 6),  # a drop beyond the scale is as one of 0.2
        (0.75, 0.0, 7 / 36),  # medium and high, half each: "few" cut at a half
    ],
)
def test_centroids_worked_by_hand(inferred_growth, accuracy, drop, growth):
    assert inferred_growth(accuracy, drop) == pytest.approx(growth, abs=2e-3)


def triangle(x, left, peak, right):
    up = np.ones_like(x) if left == peak else (x - left) / (peak - left)
    down = np.ones_like(x) if peak == right else (right - x) / (right - peak)
    return np.clip(np.minimum(up, down), 0, 1)


@pytest.mark.parametrize("accuracy", [0.05, 0.3, 0.62, 0.9])
@pytest.mark.parametrize("drop", [0.0, 0.03, 0.12, 0.19])
def test_nine_rules_by_minimum_maximum_and_centroid(inferred_growth, accuracy, drop):
    x = np.linspace(0, 1, 20001)
    levels = [float(triangle(np.array(accuracy), *sides)) for sides in ((0, 0, 0.5), (0, 0.5, 1), (0.5, 1, 1))]
    drops = [float(triangle(np.array(drop), *sides)) for sides in ((0, 0, 0.1), (0, 0.1, 0.2), (0.1, 0.2, 0.2))]
    sizes = [triangle(x, *sides) for sides in ((0, 0, 0.5), (0, 0.5, 1), (0.5, 1, 1))]
    table = [[1, 2, 2], [0, 1, 2], [0, 0, 1]]
    implied = np.max([np.minimum(min(levels[i], drops[j]), sizes[table[i][j]]) for i in range(3) for j in range(3)], 0)
    assert inferred_growth(accuracy, drop) == pytest.approx((x * implied).sum() / implied.sum(), abs=2e-3)


class Unlearn(SupervisedPlugin):
    """Lets the accuracy of the sixth epoch fall, by labels that are wrong in it."""

    def before_forward(self, strategy, **_):
        if strategy.clock.train_exp_epochs == 5:
            strategy.mbatch[1] = (strategy.mb_y + 5) % 10


def test_growth_waits_for_an_accuracy_that_has_not_risen(trained, events):
    strategy = trained("fuzzy-neurogenesis", most=0.5, experiences=1, epochs=6, watch=Unlearn())
    acted = events(strategy)
    assert len({event.step for event in acted}) == 1
    for event in acted:
        first = 20 if event.layer == "features.fc1" else 16
        assert event.value <= 0
        assert event.count in range(round(first * 0.5 / 6), round(first * 0.5 * 5 / 6) + 1)
    assert strategy.model.classifier.weight[:, 16:].abs().min() > 0  # fan-out starts at random
