"""Ranks of activations made to have them, dormancy by hand in both definitions, and units that come and go."""

from __future__ import annotations

import cloudpickle
import pytest
import torch
from torch import nn

from lifelong import Setup, load_scenario
from lifelong.errors import UsageError
from lifelong.plasticity import Grow, Plasticity, Rule
from lifelong.plasticity.moment import MomentKind
from lifelong.plasticity.triggers import Dormant, FewFree, RankSaturated, excess
from lifelong.records.spec import Budget
from lifelong.structure import (
    Structure,
    create_units,
    freeze_units,
    insert_layer,
    reinitialise_units,
    remove_units,
)


def network(units=4):
    return nn.Sequential(nn.Linear(3, units), nn.ReLU(), nn.Linear(units, 2))


@pytest.fixture
def structure():
    torch.manual_seed(0)
    return Structure(network(), torch.zeros(1, 3))


def of_rank(singular, samples):
    """Return activations with these singular values, divided by the root of the samples."""
    torch.manual_seed(0)
    left = torch.linalg.qr(torch.randn(samples, len(singular), dtype=torch.float64))[0]
    right = torch.linalg.qr(torch.randn(len(singular), len(singular), dtype=torch.float64))[0]
    return left * samples**0.5 * torch.tensor(singular, dtype=torch.float64) @ right


@pytest.mark.parametrize(
    ("singular", "excess"),
    [
        ([1.0] * 100, 3),
        ([1.0] * 98 + [0.005] * 2, 1),
        ([1.0] * 98 + [0.015] * 2, 3),
        ([1.0] * 97 + [0.005] * 3, None),
        ([1.0] * 64, 2),  # 64 - floor(62.08)
        ([1.0] * 40, 2),  # 40 - floor(38.8)
        ([1.0] * 33, 1),  # 33 - floor(32.01)
        ([1.0] * 32 + [0.005], None),
    ],
)
def test_rank_saturated(at, singular, excess):
    firing = RankSaturated(steps=1).fires(at(activations={"a": of_rank(singular, 400), "b": torch.zeros(400, 50)}))
    assert (firing.layers if firing else None) == (None if excess is None else {"a": excess})


def test_rank_is_not_judged_on_too_few_samples_and_is_on_the_last_ones(at):
    trigger, full, low = RankSaturated(steps=1, samples=2), of_rank([1.0] * 50, 60), torch.ones(60, 50)
    assert [trigger.fires(at(activations={"a": full})) is not None for _ in range(3)] == [False, True, True]
    # 120 samples: half of them in the one direction, then all
    assert trigger.fires(at(activations={"a": low})) is not None
    assert trigger.fires(at(activations={"a": low})) is None


def test_growth_by_the_excess():
    torch.manual_seed(0)
    made = nn.Sequential(nn.Flatten(), nn.Linear(64, 20), nn.Tanh(), nn.Linear(20, 10))
    plugin = Plasticity(Rule(when=RankSaturated(share=0.8, steps=4), what=Grow(excess)))
    strategy = Setup(made, torch.optim.SGD(made.parameters(), lr=0.01), Budget(batch_size=32)).naive(plugin)
    strategy.train(next(iter(load_scenario("digits-class", seed=0).train_stream)))
    assert plugin.events[0].value == plugin.events[0].count == 4  # 20 - .8 * 20
    assert all(event.value == event.count for event in plugin.events)


def test_units_that_always_fire_are_refused_where_firing_counts():
    smooth = Structure(nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)), torch.zeros(1, 3))
    with pytest.raises(UsageError, match="tanh"):
        Dormant(by="firing").check(smooth, ("0",))
    Dormant().check(smooth, ("0",))
    Dormant(by="firing").check(Structure(network(), torch.zeros(1, 3)), ("0",))


ACTIVATIONS = torch.tensor([[1.0, 1.0, 2.0, 0.02], [1.0, -1.0, 2.0, 0.02]])
"""The means of |a| are 1, 1, 2 and .02. The layer's mean is 1.005, and .025 of it is .0251."""


def test_dormant_by_activation(at):
    moment = at(activations={"0": ACTIVATIONS}, structure=Structure(network(), torch.zeros(1, 3)))
    assert Dormant(samples=2, steps=1).fires(moment).layers == {"0": 0.25}
    assert Dormant(samples=2, steps=1, threshold=0.01991).fires(moment) is not None
    assert Dormant(samples=2, steps=1, threshold=0.01989).fires(moment) is None
    assert Dormant(share=0.25, samples=2, steps=1).fires(moment) is None


def test_dormant_by_firing_is_another_number(at, structure):
    rare, faint = torch.zeros(300), torch.full((300,), 0.001)
    rare[:2] = 1000.0
    activations = torch.stack([torch.ones(300), rare, faint, torch.zeros(300)], dim=1)
    moment = at(activations={"0": activations}, structure=structure)
    assert Dormant(samples=300, steps=1, by="firing").fires(moment).layers == {"0": 0.5}  # rare, silent
    assert Dormant(samples=300, steps=1).fires(moment).layers == {"0": 0.5}  # faint, silent
    both = Dormant(samples=300, steps=1, by="firing", threshold=2 / 300 - 1e-6).fires(moment)
    assert both.layers == {"0": 0.25}


def test_a_layer_that_is_dead_is_dormant(at, structure):
    for by in ("activation", "firing"):
        moment = at(activations={"0": torch.zeros(10, 4)}, structure=structure)
        assert Dormant(samples=10, steps=1, by=by).fires(moment).layers == {"0": 1.0}


def test_protected_units_are_neither_dormant_nor_free(at, structure):
    moment = at(activations={"0": ACTIVATIONS}, structure=structure)
    assert FewFree(share=0.3, samples=2, steps=1).fires(moment).layers == {"0": 0.25}
    assert FewFree(share=0.25, samples=2, steps=1).fires(moment) is None
    freeze_units(structure, "0", [3])
    assert Dormant(samples=2, steps=1).fires(moment) is None
    assert FewFree(share=0.1, samples=2, steps=1).fires(moment).layers == {"0": 0.0}


def test_dormant_units_are_judged_on_the_last_samples(at, structure):
    silent, active = torch.zeros(10, 4), torch.ones(10, 4)
    trigger = Dormant(samples=20, steps=1, by="firing", threshold=0.6)
    shares = []
    for activations in (silent, silent, active, active, silent):
        firing = trigger.fires(at(activations={"0": activations}, structure=structure))
        shares.append(firing and firing.layers["0"])
    assert shares == [None, 1.0, 1.0, None, 1.0]


def test_nothing_is_known_of_units_that_are_new(at, structure):
    trigger = Dormant(samples=20, steps=2)

    def share(kind, activations):
        firing = trigger.fires(at(kind, activations={"0": activations}, structure=structure))
        return firing and firing.layers["0"]

    active, silent = torch.ones(10, 4), torch.ones(10, 4)
    silent[:, 0] = 0
    assert share(MomentKind.STEP, silent) is None
    assert share(MomentKind.STEP, silent) == 0.25
    trigger.carry(create_units(structure, "0", 4))
    seen = torch.cat([silent, torch.zeros(10, 4)], dim=1)
    assert share(MomentKind.STEP, seen) is None
    trigger.carry(remove_units(structure, "0", [1, 2, 3]))
    assert share(MomentKind.STEP, seen[:, [0, 4, 5, 6, 7]]) == 1.0  # by now 20 samples of the new ones, too
    trigger.carry(reinitialise_units(structure, "0", [0]))
    assert share(MomentKind.STEP, active[:, [0] * 5]) is None
    assert share(MomentKind.STEP, active[:, [0] * 5]) is None


def test_a_new_unit_does_not_count_before_as_many_samples(at, structure):
    trigger = Dormant(samples=20, steps=1)
    silent = torch.zeros(10, 4)
    for _ in range(2):
        firing = trigger.fires(at(activations={"0": silent}, structure=structure))
    assert firing.layers == {"0": 1.0}
    trigger.carry(reinitialise_units(structure, "0", [0, 1]))
    shares = [trigger.fires(at(activations={"0": silent}, structure=structure)).layers["0"] for _ in range(2)]
    assert shares == [0.5, 1.0]


def test_rank_waits_for_new_units(at):
    structure = Structure(network(40), torch.zeros(1, 3))
    trigger = RankSaturated(steps=1, samples=2)
    assert trigger.fires(at(activations={"0": of_rank([1.0] * 40, 100)})) is not None
    trigger.carry(create_units(structure, "0", 5))
    activations = of_rank([1.0] * 45, 90)
    fired = [trigger.fires(at(activations={"0": activations[rows]})) is not None for rows in (slice(60), slice(60, 90))]
    assert fired == [False, True]


def test_a_layer_that_is_moved_takes_what_is_known_along(at):
    structure = Structure(network(), torch.zeros(1, 3))
    trigger = Dormant(samples=20, steps=1)
    silent = torch.zeros(10, 4)
    assert trigger.fires(at(activations={"0": silent}, structure=structure)) is None
    change = insert_layer(structure, "0")
    trigger.carry(change)
    name = change.renamed["0.weight"].removesuffix(".weight")
    assert name != "0"
    assert trigger.fires(at(activations={name: silent}, structure=structure)).layers == {name: 1.0}


def test_another_network_is_judged_on_its_own(at, structure):
    trigger = Dormant(samples=20, steps=1)
    trigger.fires(at(activations={"0": torch.zeros(10, 4)}, structure=structure))
    trigger.forget()
    wider = Structure(network(6), torch.zeros(1, 3))
    assert trigger.fires(at(activations={"0": torch.zeros(10, 6)}, structure=wider)) is None
    assert trigger.fires(at(activations={"0": torch.zeros(10, 6)}, structure=wider)) is not None


def test_judged_at_ends_of_epochs_by_default(at, structure):
    trigger = cloudpickle.loads(cloudpickle.dumps(Dormant(samples=2)))
    found = [
        trigger.fires(at(kind, activations={"0": ACTIVATIONS}, structure=structure)) is not None
        for kind in (MomentKind.START, MomentKind.STEP, MomentKind.EPOCH, MomentKind.END)
    ]
    assert found == [False, False, True, False]
    assert Dormant().needs == {"task boundaries"}
    assert Dormant(steps=1).needs == frozenset()


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: RankSaturated(share=1),
        lambda: RankSaturated(least=0),
        lambda: RankSaturated(samples=0),
        lambda: RankSaturated(steps=0),
        lambda: Dormant(share=0),
        lambda: Dormant(threshold=-1),
        lambda: Dormant(by="silence"),
        lambda: FewFree(samples=0),
        lambda: FewFree(share=1),
    ],
)
def test_out_of_range(wrong):
    with pytest.raises(UsageError):
        wrong()
