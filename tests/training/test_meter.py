"""What training cost, and how well each batch was answered before it was learned from, against loops by hand."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from avalanche.core import SupervisedPlugin
from torch import nn

from lifelong import Setup, load_scenario
from lifelong.plasticity.operators import Grow
from lifelong.plasticity.plugin import Plasticity
from lifelong.plasticity.rule import Rule
from lifelong.plasticity.triggers.schedules import Every
from lifelong.records.spec import Budget
from lifelong.training import meter as module
from lifelong.training.meter import Meter

LR, BATCH = 0.1, 5
SAMPLES = 12  # of each of toy's three experiences: batches of 5, 5 and 2


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 6))


def trained(meter: Meter, *plugins: SupervisedPlugin, epochs: int = 2, experiences: int = 3) -> Any:
    """Naive on some experiences of toy, in the order of its samples, with the meter before the plug-ins."""
    model = network()
    setup = Setup(model, torch.optim.SGD(model.parameters(), LR), Budget(epochs=epochs, batch_size=BATCH))
    strategy = setup.naive(*plugins)
    strategy.plugins.insert(0, meter)
    for experience in load_scenario("toy").train_stream[:experiences]:
        strategy.train(experience, shuffle=False)
    return strategy


def test_online_loss_and_accuracy_are_those_of_a_bare_loop() -> None:
    meter, model = Meter(classifies=True), network()
    trained(meter)
    optimizer = torch.optim.SGD(model.parameters(), LR)
    for experience in load_scenario("toy").train_stream:
        x = torch.stack([image for image, _, _ in experience.dataset])
        y = torch.tensor([label for _, label, _ in experience.dataset])
        loss_sum, right = 0.0, 0
        for epoch in range(2):
            for rows in torch.arange(SAMPLES).split(BATCH):
                output = model(x[rows])
                loss = nn.functional.cross_entropy(output, y[rows])
                if epoch == 0:
                    loss_sum += loss.item() * len(rows)
                    right += int((output.argmax(dim=1) == y[rows]).sum())
                optimizer.zero_grad()
                torch.autograd.backward(loss)
                optimizer.step()
    assert meter.online["online_loss"] == pytest.approx(loss_sum / SAMPLES, rel=1e-5)
    assert meter.online["online_accuracy"] == right / SAMPLES


def test_no_accuracy_where_nothing_is_classified() -> None:
    meter = Meter(classifies=False)
    assert meter.online == {"online_loss": None, "online_accuracy": None}
    assert meter.average_parameters is None
    trained(meter, epochs=1, experiences=1)
    assert meter.online["online_accuracy"] is None
    assert meter.online["online_loss"] is not None


def test_penalties_of_other_plugins_are_no_loss() -> None:
    class Penalty(SupervisedPlugin):
        def before_backward(self, strategy: Any, **_: object) -> None:
            strategy.loss = strategy.loss + 100.0

    plain, penalised = Meter(classifies=True), Meter(classifies=True)
    trained(plain)
    trained(penalised, Penalty())
    assert penalised.online == plain.online


def test_steps_samples_and_products_of_a_fixed_network() -> None:
    meter = Meter(classifies=True)
    trained(meter)
    assert (meter.steps, meter.samples) == (3 * 2 * 3, 3 * 2 * SAMPLES)
    assert meter.training_macs == 3 * (16 * 8 + 8 * 6) * meter.samples
    assert meter.average_parameters == 16 * 8 + 8 + 8 * 6 + 6


def test_a_growing_network_is_measured_when_it_grows(monkeypatch: pytest.MonkeyPatch) -> None:
    measured = []
    measure = module.measure
    monkeypatch.setattr(module, "measure", lambda *given: measured.append(1) or measure(*given))
    meter = Meter(classifies=True)
    trained(meter, Plasticity(Rule(Every(steps=2), Grow(4))), epochs=1, experiences=2)
    # six steps, of 5, 5, 2, 5, 5 and 2 samples; four more units after each second of them, the last time in vain
    units = [8, 8, 12, 12, 16, 16]
    assert meter.average_parameters == sum(16 * u + u + 6 * u + 6 for u in units) / 6
    sizes = [5, 5, 2, 5, 5, 2]
    assert meter.training_macs == sum(3 * (16 * u + 6 * u) * n for u, n in zip(units, sizes, strict=True))
    assert len(measured) == 3


def test_the_memory_of_er_ace_is_trained_on_too() -> None:
    from avalanche.training.supervised import ER_ACE

    model = network()
    setup = Setup(model, torch.optim.SGD(model.parameters(), LR), Budget(batch_size=BATCH))
    strategy, meter = setup.make(ER_ACE, mem_size=6, batch_size_mem=4), Meter(classifies=True)
    strategy.plugins.insert(0, meter)
    for experience in load_scenario("toy").train_stream[:2]:
        strategy.train(experience)
    assert meter.samples - 2 * SAMPLES == 3 * 4  # four from the memory beside each of the second's batches
