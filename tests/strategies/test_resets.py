"""Strategies that reset units and weights, against the papers' algorithms in numpy and cases worked out by hand."""

from __future__ import annotations

from importlib import import_module

import numpy as np
import pytest
import torch
from avalanche.core import SupervisedPlugin
from torch import nn

from lifelong import load_scenario, load_strategy
from lifelong.errors import UsageError
from lifelong.plasticity import Plasticity
from lifelong.plasticity.activations import Activations
from lifelong.plasticity.moment import Memory, Moment, MomentKind
from lifelong.plasticity.selection import Below
from lifelong.records.spec import Budget
from lifelong.registry import strategies
from lifelong.structure import Structure

FAMILY = strategies.get("self-normalised-resets").function.__module__
Patience = import_module(f"{FAMILY}.patience").Patience


@pytest.fixture(scope="module")
def stream():
    return list(load_scenario("digits-class", seed=0).train_stream)


def network(activation=nn.ReLU):
    torch.manual_seed(7)
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 6), activation(), nn.Linear(6, 5), activation(), nn.Linear(5, 10))


class Watch(SupervisedPlugin):
    """Keeps each batch, and the weights after each step and all that follows it."""

    def __init__(self):
        super().__init__()
        self.batches, self.after, self.gradients = [], [], []

    def after_backward(self, strategy, **_):
        self.gradients.append([parameter.grad.numpy().copy() for parameter in strategy.model.parameters()])

    def after_training_iteration(self, strategy, **_):
        self.batches.append((strategy.mb_x.flatten(1).numpy().astype(float), strategy.mb_y.numpy()))
        self.after.append(
            [parameter.detach().numpy().copy().astype(float) for parameter in strategy.model.parameters()]
        )


def run(name, experiences, epochs=1, made=None, optimizer=torch.optim.SGD, lr=0.1, batch_size=32, **parameters):
    made = made or network()
    first = [parameter.detach().numpy().copy().astype(float) for parameter in made.parameters()]
    budget = Budget(epochs=epochs, batch_size=batch_size)
    strategy = load_strategy(name, made, optimizer(made.parameters(), lr=lr), budget=budget, **parameters)
    watch = Watch()
    strategy.plugins.append(watch)
    for experience in experiences:
        strategy.train(experience)
    (plugin,) = (plugin for plugin in strategy.plugins if isinstance(plugin, Plasticity))
    return watch, plugin, first


# Continual backpropagation


class Simulation:
    """Algorithm 1 of Dohare et al. (2024) on an MLP of two hidden layers, with SGD; one unit at a time, in loops."""

    def __init__(self, weights, rate, mature, decay, lr):
        self.weights = weights  # w1, b1, w2, b2, w3, b3
        self.rate, self.mature, self.decay, self.lr = rate, mature, decay, lr
        sizes = len(weights[0]), len(weights[2])
        self.utility = [[0.0] * size for size in sizes]
        self.age = [[0] * size for size in sizes]
        self.owed = [0.0, 0.0]

    def step(self, x, y, drawn):
        """One update; new fan-in is taken from `drawn`, the weights of the network that is checked."""
        w1, b1, w2, b2, w3, b3 = self.weights
        h1 = np.maximum(x @ w1.T + b1, 0)
        h2 = np.maximum(h1 @ w2.T + b2, 0)
        z = h2 @ w3.T + b3
        p = np.exp(z - z.max(1, keepdims=True))
        p /= p.sum(1, keepdims=True)
        d3 = (p - np.eye(10)[y]) / len(x)
        d2 = (d3 @ w3) * (h2 > 0)
        d1 = (d2 @ w2) * (h1 > 0)
        gradients = d1.T @ x, d1.sum(0), d2.T @ h1, d2.sum(0), d3.T @ h2, d3.sum(0)
        for weight, gradient in zip(self.weights, gradients, strict=True):
            weight -= self.lr * gradient
        replaced = [self.worst(layer, h) for layer, h in enumerate((h1, h2))]
        for layer, units in enumerate(replaced):
            for unit in units:
                self.restart(layer, unit, drawn)
        return replaced

    def worst(self, layer, h):
        outgoing = self.weights[2 * layer + 2]
        eligible = []
        for unit in range(h.shape[1]):
            self.age[layer][unit] += 1
            seen = np.abs(h[:, unit]).mean() * np.abs(outgoing[:, unit]).sum()
            self.utility[layer][unit] = self.decay * self.utility[layer][unit] + (1 - self.decay) * seen
            if self.age[layer][unit] > self.mature:
                eligible.append(unit)
        self.owed[layer] += self.rate * len(eligible)
        chosen = []
        while self.owed[layer] >= 1:
            self.owed[layer] -= 1
            rest = [unit for unit in eligible if unit not in chosen]
            chosen.append(min(rest, key=lambda unit: self.corrected(layer, unit)))
        return chosen

    def corrected(self, layer, unit):
        return self.utility[layer][unit] / (1 - self.decay ** self.age[layer][unit])

    def restart(self, layer, unit, drawn):
        self.weights[2 * layer][unit] = drawn[2 * layer][unit]
        self.weights[2 * layer + 1][unit] = drawn[2 * layer + 1][unit]
        self.weights[2 * layer + 2][:, unit] = 0
        self.utility[layer][unit], self.age[layer][unit] = 0.0, 0


def test_continual_backpropagation_is_algorithm_1(stream):
    watch, plugin, first = run("continual-backprop", stream[:2], epochs=3, rate=0.04, mature=7, decay=0.9)
    simulation = Simulation(first, rate=0.04, mature=7, decay=0.9, lr=0.1)
    replaced = []
    for number, ((x, y), after) in enumerate(zip(watch.batches, watch.after, strict=True), start=1):
        for layer, units in enumerate(simulation.step(x, y, after)):
            if units:
                replaced.append((number, ("1", "3")[layer], len(units)))
        for ours, theirs in zip(after, simulation.weights, strict=True):
            assert ours == pytest.approx(theirs, abs=1e-4), number
    assert len(replaced) > 10
    assert [(event.step, event.layer, event.count) for event in plugin.events] == replaced


def test_the_code_and_the_paper_choose_other_units(stream):
    """The first unit is always on, alike for all samples: it contributes most, and tells nothing apart."""
    gone = {}
    for utility in ("paper", "mean-corrected"):
        made = network()
        with torch.no_grad():
            made[1].weight[0] *= 1e-4
            made[1].bias[0] = 3.0
        settings = {"rate": 0.2, "mature": 1, "decay": 0.5, "utility": utility}
        watch, _, first = run("continual-backprop", stream[:1], made=made, lr=1e-9, **settings)
        gone[utility] = restarted(first, watch.after[2])
    assert 0 not in gone["paper"]
    assert 0 in gone["mean-corrected"]


@pytest.mark.parametrize(("parameters", "message"), [({"decay": 1.0}, "decay"), ({"rate": 2.0}, "less than or equal")])
def test_numbers_out_of_range_are_refused(parameters, message):
    made = network()
    with pytest.raises(UsageError, match=message):
        load_strategy("continual-backprop", made, torch.optim.SGD(made.parameters(), 0.1), **parameters)


# ReDo and ReGraMa


def hidden(weights, x):
    h1 = np.maximum(x @ weights[0].T + weights[1], 0)
    return h1, np.maximum(h1 @ weights[2].T + weights[3], 0)


def restarted(before, after):
    """Units of the first layer whose fan-in is another; training itself moved nothing."""
    return [unit for unit in range(6) if np.abs(after[0][unit] - before[0][unit]).max() > 1e-4]


def test_redo_resets_the_dormant_and_only_now_and_then(stream):
    made = network()
    with torch.no_grad():
        made[1].weight[2] *= 1e-3  # dormant: not silent, but hardly ever more
        made[1].bias[2] = 1e-3
    watch, plugin, first = run("redo", stream[:1], made=made, lr=1e-9, batch_size=32, steps=3, tau=0.05)
    h1, h2 = hidden(first, watch.batches[2][0])  # as they were at the third update, since nothing has moved
    expected = {}
    for layer, h in (("1", h1), ("3", h2)):
        score = np.abs(h).mean(0)
        expected[layer] = int((score <= 0.05 * score.mean()).sum())
    events = [event for event in plugin.events if event.step == 3]
    assert {event.layer: event.count for event in events} == {k: v for k, v in expected.items() if v}
    assert restarted(first, watch.after[2]) == [2]
    assert not restarted(first, watch.after[1])
    assert {event.step % 3 for event in plugin.events} == {0}


def test_redo_restarts_adams_state_with_the_unit(stream):
    made = network()
    with torch.no_grad():
        made[1].weight[2] *= 1e-3
        made[1].bias[2] = 1e-3
    optimizer = torch.optim.Adam(made.parameters(), lr=1e-9)
    strategy = load_strategy("redo", made, optimizer, budget=Budget(batch_size=1000), steps=1, tau=0.05)
    strategy.train(stream[0])
    assert not optimizer.state[made[1].weight]["exp_avg"][2].any()
    assert optimizer.state[made[1].weight]["exp_avg"][3].any()
    assert not optimizer.state[made[3].weight]["exp_avg_sq"][:, 2].any()


def test_regrama_resets_units_whose_weights_get_hardly_any_gradient(stream):
    made = network()
    with torch.no_grad():
        made[3].weight[:, 4] *= 1e-4  # hardly anybody listens to it, so that its own gradient is small
    watch, plugin, first = run("regrama", stream[:1], made=made, lr=1e-9, steps=2, tau=0.01)
    first_layer, second_layer = (np.abs(watch.gradients[1][number]).mean(1) for number in (0, 2))
    expected = {
        layer: int((score <= 0.01 * score.mean()).sum()) for layer, score in (("1", first_layer), ("3", second_layer))
    }
    events = {event.layer: event.count for event in plugin.events if event.step == 2}
    assert events == {layer: count for layer, count in expected.items() if count}
    assert 4 in restarted(first, watch.after[1])


def test_regrama_keeps_the_fan_out_so_that_a_unit_gets_a_gradient_again(stream):
    made = network()
    with torch.no_grad():
        made[1].weight[2] = 0
        made[1].bias[2] = -1e-3  # it never fires, so that its weights get no gradient
    fan_out, biases = made[3].weight[:, 2].clone(), made[3].bias.clone()
    watch, _, _ = run("regrama", stream[:1], made=made, lr=1e-9, steps=1, tau=0.0)
    assert not watch.gradients[0][0][2].any()
    assert watch.after[0][0][2].all(), "it has started again"
    assert watch.gradients[1][0][2].any()
    np.testing.assert_allclose(watch.after[1][0][2], watch.after[0][0][2], rtol=1e-4)
    stayed = torch.isclose(made[3].bias, biases)  # units that read it, and have not started again themselves
    assert stayed.any()
    torch.testing.assert_close(made[3].weight[stayed, 2], fan_out[stayed])


# Self-normalised resets


class Script:
    """A layer of units whose activations are written down beforehand, seen by a score as it would in training."""

    def __init__(self, patience, rows):
        made = nn.Sequential(nn.Linear(3, len(rows[0])), nn.ReLU(), nn.Linear(len(rows[0]), 2))
        self.structure = Structure(made, torch.randn(1, 3))
        self.patience, self.rows = patience, rows
        self.memory = Memory(torch.Generator(), layers=dict(self.structure.layers))

    def play(self):
        """For each update, which units are too silent."""
        too_long = Below(self.patience, 0)
        chosen = []
        for step, row in enumerate(self.rows, start=1):
            recorded = Activations(["0"])
            recorded._found = {"0": torch.tensor([row, [0.0] * len(row)])}
            moment = Moment(MomentKind.STEP, step, ["0"], self.structure, None, self.memory, recorded)
            self.patience.observe(moment, "0")
            chosen.append(too_long.select(moment, ["0"])["0"].tolist())
        return chosen


def fires(*silences):
    """A firing sequence: a unit that is silent for so many updates, then fires, and so on."""
    return [value for silence in silences for value in [0.0] * silence + [1.0]]


def test_the_percentile_of_the_units_own_silences():
    """Nine silences of 1, one of 3: the 90th percentile is 1 and the 95th is 3."""
    sequence = fires(*[1] * 9, 3)
    for eta, threshold in ((0.1, 1), (0.05, 3)):
        patience = Patience(eta=eta, window=len(sequence), cap=50)
        Script(patience, [[value] for value in sequence]).play()
        assert int(patience.state["0"]["threshold"]) == threshold, eta


def test_a_unit_is_reset_when_its_silence_reaches_its_threshold():
    """The first always fires; the second has silences of 2, then none: its threshold is 2."""
    second = [*fires(2, 2, 2, 2), 0.0, 0.0, 0.0]
    rows = [[1.0, value] for value in second]
    chosen = Script(Patience(eta=0.1, window=12, cap=40), rows).play()
    assert [step for step, units in enumerate(chosen, start=1) if units] == [14, 15]
    assert chosen[13] == [1]


def test_a_threshold_doubles_where_it_cannot_fall_up_to_the_cap():
    patience = Patience(eta=0.1, window=6, cap=7)
    sequence = fires(2, 2) + fires(5) + fires(1, 1, 1)
    script = Script(patience, [[value] for value in sequence])
    thresholds = []
    for part in (6, 12, 18):
        script.rows = [[value] for value in sequence[:part]]
        script.patience.state.clear()
        script.play()
        thresholds.append(int(patience.state["0"]["threshold"]))
    assert thresholds == [2, 4, 1]  # falls to 2; 5 is not less: doubles; falls to 1


def test_a_unit_without_silences_keeps_all_its_patience():
    patience = Patience(eta=0.1, window=5, cap=9)
    Script(patience, [[1.0]] * 10).play()
    assert int(patience.state["0"]["threshold"]) == 9


def test_what_is_known_of_a_unit_outlives_its_reset_and_the_cut_silence_counts():
    from lifelong.structure import reinitialise_units

    patience = Patience(eta=0.1, window=100, cap=9)
    script = Script(patience, [[0.0, 1.0]] * 4)
    script.play()
    patience.carry(reinitialise_units(script.structure, "0", [0]))
    known = patience.state["0"]
    assert known["age"].tolist() == [0, 0]
    assert known["silences"][0, 4] == 1
    assert known["silences"].sum() == 1


def test_self_normalised_resets_in_training(stream):
    made = network()
    with torch.no_grad():
        made[1].bias[3] = -100.0  # a dead unit
    watch, plugin, first = run("self-normalised-resets", stream[:1], epochs=3, made=made, lr=1e-9, window=5, cap=4)
    assert min(event.step for event in plugin.events if event.layer == "1") == 4
    assert 3 in restarted(first, watch.after[3])


def test_units_that_are_never_silent_are_refused(stream):
    made = network(nn.Tanh)
    strategy = load_strategy("self-normalised-resets", made, torch.optim.SGD(made.parameters(), 0.1))
    with pytest.raises(UsageError, match="as with tanh"):
        strategy.train(stream[0])
    with pytest.raises(UsageError, match="eta = 1"):
        load_strategy("self-normalised-resets", made, torch.optim.SGD(made.parameters(), 0.1), eta=1.0)


# Selective weight reinitialisation


@pytest.mark.parametrize("utility", ["gradient", "magnitude"])
def test_the_least_useful_weights_of_each_matrix_are_drawn_anew(stream, utility):
    watch, plugin, _ = run(
        "selective-weight-reinitialisation", stream[:1], lr=1e-9, steps=2, share=0.1, utility=utility
    )
    before, after = watch.after[0], watch.after[1]
    for number in (0, 2):
        size = np.abs(before[number])
        score = size * np.abs(watch.gradients[1][number]) if utility == "gradient" else size
        count = int(0.1 * score.size)
        lowest = np.argsort(score, axis=None, kind="stable")[:count]
        moved = np.flatnonzero(np.abs(after[number] - before[number]) > 1e-6)
        assert set(moved) == set(lowest)
        bound = 1 / np.sqrt(before[number].shape[1])
        assert np.abs(after[number]).max() <= bound
    for number in (1, 3, 4, 5):
        assert after[number] == pytest.approx(before[number], abs=1e-6)
    assert {event.step % 2 for event in plugin.events} == {0}
