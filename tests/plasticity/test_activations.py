"""Activations are what readers are given in training; passes of others are not recorded."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
from avalanche.models import IncrementalClassifier, MultiHeadClassifier, MultiTaskModule
from avalanche.training.supervised import EWC
from torch import nn
from torch.nn import functional

from lifelong import load_scenario
from lifelong.errors import UsageError
from lifelong.plasticity import Every, Mark, Plasticity, Rule
from lifelong.plasticity.activations import Activations, check_watchable
from lifelong.plasticity.triggers import Trigger
from lifelong.structure import Structure, create_units, remove_units


def recorded(network, layer, *inputs):
    """Record a forward pass."""
    structure = Structure(network, *inputs)
    activations = Activations([layer])
    activations.start(structure)
    network(*inputs)
    activations.stop()
    return activations.of(layer)


def test_behind_the_non_linearity_the_normalisation_and_the_pooling():
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(2, 3, 3),
        nn.BatchNorm2d(3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(3, 4, 1),
        nn.Flatten(),
        nn.Linear(16, 2),
    )
    x = torch.randn(5, 2, 6, 6)
    said = recorded(network, "0", x)
    assert torch.equal(said, network[:4](x).movedim(1, -1).reshape(-1, 3))


def test_each_position_of_a_flattened_channel_is_a_sample():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(12, 2))
    x = torch.randn(5, 1, 4, 4)
    assert torch.equal(recorded(network, "0", x), network[:2](x).movedim(1, -1).reshape(-1, 3))


class Dense(nn.Module):
    """Reads the layer that is made first behind the one that is made second."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two, self.head = nn.Linear(4, 3), nn.Linear(4, 2), nn.Linear(5, 2)

    def forward(self, x):
        return self.head(torch.cat([self.two(x).relu(), self.one(x).relu()], 1))


def test_units_that_are_read_beside_others():
    network, x = Dense(), torch.randn(6, 4)
    assert torch.equal(recorded(network, "one", x), network.one(x).relu())
    assert torch.equal(recorded(network, "two", x), network.two(x).relu())


class Residual(nn.Module):
    """Has a stream that two layers write to, and that a block and the head read."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.up, self.down, self.head = nn.Linear(4, 3), nn.Linear(3, 5), nn.Linear(5, 3), nn.Linear(3, 2)

    def forward(self, x):
        stream = functional.relu(self.stem(x))
        return self.head(stream + self.down(functional.relu(self.up(stream))))


@pytest.mark.parametrize("layer", ["stem", "down"])
def test_along_a_residual_stream_what_each_reader_is_given_counts(layer):
    network, x = Residual(), torch.randn(6, 4)
    stream = network.stem(x).relu()
    later = stream + network.down(network.up(stream).relu())
    assert torch.equal(recorded(network, layer, x), torch.cat([stream, later]))


class MultiHead(MultiTaskModule):
    def __init__(self) -> None:
        super().__init__()
        self.features, self.classifier = nn.Linear(4, 3), MultiHeadClassifier(3, 2, masking=False)
        for task in ("1", "2"):
            self.classifier.classifiers[task] = IncrementalClassifier(3, 2, masking=False)

    def forward(self, x, task_labels):
        return self.classifier(self.features(x).relu(), task_labels)


def test_of_several_heads_those_in_use_say_what_they_were_given():
    network = MultiHead()
    structure = Structure(network, torch.randn(3, 4), torch.arange(3))
    activations, x = Activations(["features"]), torch.randn(5, 4)
    activations.start(structure)
    network(x, torch.tensor([2, 0, 2, 0, 2]))
    activations.stop()
    said = network.features(x).relu()
    found = activations.of("features")
    assert len(found) == 5
    assert torch.equal(found.sort(0).values, said.sort(0).values)


def test_nobody_is_listened_to_after_the_end_nor_heard_from_the_last_time():
    network = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
    structure = Structure(network, torch.zeros(1, 4))
    activations, x = Activations(["0"]), torch.randn(6, 4)
    for batch in (torch.randn(9, 4), x):
        activations.start(structure)
        network(batch)
        activations.stop()
        network(torch.randn(2, 4))
    assert torch.equal(activations.of("0"), network[:2](x))
    assert not network[2]._forward_pre_hooks


def test_after_a_change_the_new_readers_are_listened_to():
    network = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
    structure = Structure(network, torch.zeros(1, 4))
    activations, x = Activations(["0"]), torch.randn(6, 4)
    activations.start(structure)
    network(x)
    activations.stop()
    before = activations.of("0")
    activations.carry(remove_units(structure, "0", [1]), "0", 3)
    activations.carry(create_units(structure, "0", 2), "0", 2)
    assert torch.equal(activations.of("0"), torch.cat([before[:, [0, 2]], torch.zeros(6, 2)], 1))
    network[2] = copy.deepcopy(network[2])
    activations.layers = ["0"]
    activations.start(structure)
    network(x)
    activations.stop()
    assert torch.equal(activations.of("0"), network[:2](x))


def test_a_reader_that_is_called_by_keyword():
    class Keyword(nn.Sequential):
        def forward(self, x):
            return self[1](input=self[0](x).relu())

    network, x = Keyword(nn.Linear(4, 3), nn.Linear(3, 2)), torch.randn(6, 4)
    assert torch.equal(recorded(network, "0", x), network[0](x).relu())


def test_what_is_read_by_an_attention_cannot_be_recorded():
    class Attending(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed, self.attention = nn.Linear(4, 6), nn.MultiheadAttention(6, 2, batch_first=True)
            self.norm, self.head = nn.LayerNorm(6), nn.Linear(6, 2)

        def forward(self, x):
            x = self.embed(x)
            return self.head(self.norm(x + self.attention(x, x, x, need_weights=False)[0]).mean(1))

    structure = Structure(Attending(), torch.zeros(1, 3, 4))
    with pytest.raises(UsageError, match="read by 'attention', a MultiheadAttention"):
        check_watchable(structure, "embed")


def test_nothing_recorded_is_said():
    with pytest.raises(UsageError, match="no activations of 'a' were recorded"):
        Activations(["a"]).of("a")


class Watch(Trigger):
    """Never fires, and keeps what it saw."""

    watches = True

    def fires(self, moment):
        if moment.kind == "step":
            shared.append((len(moment.batch.x), len(moment.activations("1")), moment.layer("1").units))


shared: list[tuple[int, int, int]] = []


def test_in_a_strategy_only_its_own_forward_passes_count():
    """EWC runs the network for its importances, and the evaluation runs it, each with batches of other sizes."""
    torch.manual_seed(0)
    shared.clear()
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.ReLU(), nn.Linear(8, 10))
    seen = []
    network[3].register_forward_pre_hook(lambda module, _: seen.append(len(module._forward_pre_hooks)))
    strategy = EWC(
        model=network,
        optimizer=torch.optim.SGD(network.parameters(), lr=0.1),
        criterion=nn.CrossEntropyLoss(),
        ewc_lambda=1.0,
        train_mb_size=50,
        eval_mb_size=7,
        plugins=[Plasticity(Rule(when=Watch() | Every(steps=10**6), what=Mark()))],
    )
    benchmark = load_scenario("digits-class", seed=0)
    for experience in list(benchmark.train_stream)[:2]:
        strategy.train(experience)
        before = len(seen)
        strategy.eval(list(benchmark.test_stream)[:1])
        assert set(seen[before:]) == {1}  # the test's own hook
    assert shared
    assert all(samples == said and units == 8 for samples, said, units in shared)
    assert seen.count(2) == len(shared)
    assert seen.count(1) > len(shared)


def test_a_copy_and_a_pickle_hold_no_activations():
    network = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
    activations = Activations(["0"])
    activations.start(Structure(network, torch.zeros(1, 4)))
    network(torch.randn(6, 4))
    for other in (pickle.loads(pickle.dumps(activations)), copy.deepcopy(activations)):
        assert other.layers == ("0",)
        with pytest.raises(UsageError):
            other.of("0")
    activations.stop()
