"""What plug-ins know of each weight, after a change: found again weight by weight, without index maps."""

from __future__ import annotations

import random
from importlib import import_module
from types import SimpleNamespace

import pytest
import torch
from avalanche.training.plugins import (
    EarlyStoppingPlugin,
    EWCPlugin,
    FromScratchTrainingPlugin,
    LwFPlugin,
    MASPlugin,
    RWalkPlugin,
    SynapticIntelligencePlugin,
)
from avalanche.training.utils import ParamData
from torch import nn

from lifelong.plasticity.carrying import carry_plugins
from lifelong.registry import strategies
from lifelong.structure import (
    Fresh,
    Structure,
    create_units,
    insert_layer,
    merge_units,
    prune_synapses,
    reinitialise_units,
    remove_layer,
    remove_units,
)

HOME = strategies.get("ewc").function.__module__
EWC = import_module(f"{HOME}.elastic_weight_consolidation").EWC
MemoryAwareSynapses = import_module(f"{HOME}.memory_aware_synapses").MemoryAwareSynapses
RiemannianWalk = import_module(f"{HOME}.riemannian_walk").RiemannianWalk
SynapticIntelligence = import_module(f"{HOME}.synaptic_intelligence").SynapticIntelligence


def network():
    torch.manual_seed(1)
    made = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(16, 5), nn.ReLU(), nn.Linear(5, 3)
    )
    for parameter in made.parameters():  # no two weights of a parameter are the same, in its biases and scales either
        nn.init.normal_(parameter)
    return made


def structure_of(made):
    return Structure(made, torch.zeros(1, 1, 4, 4), optimizer=torch.optim.SGD(made.parameters(), lr=0.1))


def weights(made, factor=1.0, flat=False):
    """What a plug-in holds: of each weight a value by which the weight can be told again."""
    found = {name: factor * parameter.detach().clone() for name, parameter in made.named_parameters()}
    return {name: ParamData(name, init_tensor=value.flatten() if flat else value) for name, value in found.items()}


def tensors(made, factor=1.0):
    """The same, as our plug-ins hold it."""
    return {name: value.data for name, value in weights(made, factor).items()}


def strategy(structure, *plugins):
    known = dict(structure.network.named_parameters())
    return SimpleNamespace(
        model=structure.network,
        optimizer=structure.optimizer,
        plugins=list(plugins),
        optimized_param_id=known,
        device=torch.device("cpu"),
        clock=SimpleNamespace(train_exp_counter=2),
        loss=torch.ones(()),
    )


CHANGES = {
    "create filters": lambda s: create_units(s, "0", 3, Fresh()),
    "create neurons": lambda s: create_units(s, "4", 2, Fresh()),
    "remove filters": lambda s: remove_units(s, "0", [0, 2]),
    "remove neurons": lambda s: remove_units(s, "4", [1, 4]),
    "restart filters": lambda s: reinitialise_units(s, "0", [1, 3], Fresh()),
    "restart neurons": lambda s: reinitialise_units(s, "4", [0], Fresh()),
    "prune": lambda s: prune_synapses(s, "4.weight", torch.rand(5, 16) < 0.3),
    "insert a layer": lambda s: insert_layer(s, "4"),
    "insert a residual layer": lambda s: insert_layer(s, "1", hidden=2),
    "remove a layer": lambda s: remove_layer(s, "4"),
}


def changed(kind, plugin, prepare=None):
    made = network()
    structure = structure_of(made)
    if prepare is not None:
        prepare(made)
    before = {name: parameter.detach().clone() for name, parameter in made.named_parameters()}
    change = CHANGES[kind](structure)
    acting = strategy(structure, plugin)
    carry_plugins(acting, change)
    return made, before, acting


def check(values, made, before, factor, *, anchors, flat=False):
    """Every weight that was there before is found by its value; the value held of it must be that times the factor.

    A weight that was not there has importance 0, or is anchored where it is.
    """
    old = torch.cat([value.flatten() for value in before.values()])
    order = [name for name, _ in made.named_parameters()]
    assert list(values) == order
    for name, parameter in made.named_parameters():
        held = values[name]
        weight = parameter.detach().flatten() if flat else parameter.detach()
        assert isinstance(held, ParamData | torch.Tensor)
        assert held.shape == held.data.shape == weight.shape, name
        new = weight if anchors else torch.zeros_like(weight)
        survives = torch.isin(weight, old)
        assert torch.equal(held.data, torch.where(survives, factor * weight, new)), name


@pytest.mark.parametrize("kind", CHANGES)
def test_ewc(kind):
    plugin = EWCPlugin(1.0)

    def prepare(made):
        for experience, factor in ((0, 2.0), (1, 4.0)):
            plugin.saved_params[experience] = weights(made, factor)
            plugin.importances[experience] = weights(made, factor + 1)

    made, before, _ = changed(kind, plugin, prepare)
    for experience, factor in ((0, 2.0), (1, 4.0)):
        check(plugin.saved_params[experience], made, before, factor, anchors=True)
        check(plugin.importances[experience], made, before, factor + 1, anchors=False)


@pytest.mark.parametrize("kind", CHANGES)
def test_mas(kind):
    plugin = MASPlugin()

    def prepare(made):
        plugin.params, plugin.importance = weights(made, 2.0), weights(made, 3.0)

    made, before, _ = changed(kind, plugin, prepare)
    check(plugin.params, made, before, 2.0, anchors=True)
    check(plugin.importance, made, before, 3.0, anchors=False)


@pytest.mark.parametrize("kind", CHANGES)
def test_si_whose_values_are_flattened(kind):
    plugin = SynapticIntelligencePlugin(1.0)
    names = ("old_theta", "new_theta", "grad", "trajectory", "cum_trajectory")

    def prepare(made):
        plugin.ewc_data = weights(made, 2.0, flat=True), weights(made, 3.0, flat=True)
        plugin.syn_data = {name: weights(made, 4.0 + number, flat=True) for number, name in enumerate(names)}

    made, before, _ = changed(kind, plugin, prepare)
    check(plugin.ewc_data[0], made, before, 2.0, anchors=True, flat=True)
    check(plugin.ewc_data[1], made, before, 3.0, anchors=False, flat=True)
    for number, name in enumerate(names):
        check(plugin.syn_data[name], made, before, 4.0 + number, anchors=name.endswith("theta"), flat=True)


@pytest.mark.parametrize("kind", CHANGES)
def test_rwalk(kind):
    plugin = RWalkPlugin()
    anchors = ("checkpoint_params", "iter_params", "exp_params")
    importances = ("checkpoint_loss", "checkpoint_scores", "iter_grad", "exp_scores", "exp_importance", "exp_penalties")

    def prepare(made):
        for number, name in enumerate((*anchors, *importances)):
            setattr(plugin, name, weights(made, 2.0 + number))
        plugin.iter_importance = plugin.exp_importance  # the same object, as after an experience

    made, before, _ = changed(kind, plugin, prepare)
    for number, name in enumerate((*anchors, *importances)):
        check(getattr(plugin, name), made, before, 2.0 + number, anchors=name in anchors)
    check(plugin.iter_importance, made, before, 2.0 + 7, anchors=False)


@pytest.mark.parametrize("kind", CHANGES)
def test_our_ewc(kind):
    plugin = EWC(1.0)

    def prepare(made):
        plugin.anchors, plugin.fisher = [tensors(made, 2.0), tensors(made, 4.0)], [tensors(made, 3.0), tensors(made, 5)]

    made, before, _ = changed(kind, plugin, prepare)
    for anchor, fisher, factor in zip(plugin.anchors, plugin.fisher, (2.0, 4.0), strict=True):
        check(anchor, made, before, factor, anchors=True)
        check(fisher, made, before, factor + 1, anchors=False)


OURS = {
    "mas": (MemoryAwareSynapses, ("anchor",), ("importance",)),
    "si": (lambda: SynapticIntelligence(1.0), ("anchor", "_before"), ("importance", "_sum", "_omega")),
    "rwalk": (
        RiemannianWalk,
        ("anchor", "_start", "_before"),
        ("fisher", "score", "stiffness", "_scores", "_lowered", "_gradient"),
    ),
}
"""By name: how to make it, the attributes that hold earlier values of weights, and those that begin with 0."""


@pytest.mark.parametrize("name", OURS)
@pytest.mark.parametrize("kind", CHANGES)
def test_our_own(kind, name):
    make, anchors, importances = OURS[name]
    plugin, known = make(), (*anchors, *importances)
    assert {key for key, value in vars(plugin).items() if isinstance(value, dict)} == {*known}

    def prepare(made):
        for number, attribute in enumerate(known):
            setattr(plugin, attribute, tensors(made, 2.0 + number))

    made, before, _ = changed(kind, plugin, prepare)
    for number, attribute in enumerate(known):
        check(getattr(plugin, attribute), made, before, 2.0 + number, anchors=attribute in anchors)


@pytest.mark.parametrize(
    "plugin",
    [
        EWCPlugin(1.0),
        MASPlugin(),
        SynapticIntelligencePlugin(1.0),
        RWalkPlugin(),
        EWC(1.0),
        *(make() for make, *_ in OURS.values()),
    ],
)
@pytest.mark.parametrize("kind", ["create neurons", "insert a layer"])
def test_before_there_is_anything_nothing_is_made_up(plugin, kind):
    changed(kind, plugin)
    for value in vars(plugin).values():
        if isinstance(value, dict):
            assert not any(value.values())
        if isinstance(value, list):  # of penalties, or of strengths
            assert not any(isinstance(each, dict) for each in value)


def stiff(made):
    """Plug-ins that pull each weight, each stiffer or less so."""
    ewc, mas, si = EWCPlugin(0.5), MASPlugin(0.5), SynapticIntelligencePlugin(0.5)
    shifted = {name: value.data + 1 for name, value in weights(made).items()}
    positive = {name: value.data.abs() for name, value in weights(made).items()}

    def held(values, flat=False):
        return {
            name: ParamData(name, init_tensor=value.flatten() if flat else value.clone())
            for name, value in values.items()
        }

    for experience in (0, 1):
        ewc.saved_params[experience], ewc.importances[experience] = held(shifted), held(positive)
    mas.params, mas.importance = held(shifted), held(positive)
    si.ewc_data = held(shifted, flat=True), held(positive, flat=True)
    our_ewc, our_mas, our_si = EWC(0.5), MemoryAwareSynapses(0.5), SynapticIntelligence(0.5)
    our_ewc.anchors, our_ewc.fisher = [dict(shifted), dict(shifted)], [dict(positive), dict(positive)]
    for ours in (our_mas, our_si):
        ours.anchor, ours.importance = dict(shifted), dict(positive)
    return ewc, mas, si, our_ewc, our_mas, our_si


def penalty(plugin, acting):
    acting.loss = torch.full((), 1e-30)
    plugin.before_backward(acting)
    return float(acting.loss.detach())


@pytest.mark.parametrize("which", range(6))
@pytest.mark.parametrize("kind", ["create filters", "create neurons", "insert a layer", "insert a residual layer"])
def test_growth_leaves_a_penalty_as_it_is(which, kind):
    made = network()
    structure, plugin = structure_of(made), stiff(made)[which]
    acting = strategy(structure, plugin)
    before = penalty(plugin, acting)
    carry_plugins(acting, CHANGES[kind](structure))
    assert before > 1
    assert penalty(plugin, acting) == pytest.approx(before, rel=1e-6)


@pytest.mark.parametrize("which", range(6))
@pytest.mark.parametrize("kind", ["remove filters", "remove neurons", "restart neurons", "remove a layer"])
def test_after_a_removal_a_penalty_is_that_over_the_surviving_weights(which, kind):
    made = network()
    structure, plugin = structure_of(made), stiff(made)[which]
    acting = strategy(structure, plugin)
    old = {name: parameter.detach().clone() for name, parameter in made.named_parameters()}
    carry_plugins(acting, CHANGES[kind](structure))
    left = torch.cat([parameter.detach().flatten() for parameter in made.parameters()])
    scale = (2 * 0.5, 0.5, 0.5 / 2)[which % 3]  # two experiences; lambda; lambda / 2
    if which % 3 == 2:  # which leaves batch normalisation alone
        del old["1.weight"], old["1.bias"]
    # Every weight is one below its anchor, and as stiff as it is large.
    expected = sum(scale * float(value.abs()[torch.isin(value, left)].sum()) for value in old.values())
    assert penalty(plugin, acting) == pytest.approx(expected, rel=1e-5)


def test_merging_keeps_the_first_units_values():
    made = network()
    structure, plugin = structure_of(made), MASPlugin()
    plugin.params, plugin.importance = weights(made, 2.0), weights(made, 3.0)
    old = {name: parameter.detach().clone() for name, parameter in made.named_parameters()}
    carry_plugins(strategy(structure, plugin), merge_units(structure, "4", [[1, 3]]))
    assert torch.equal(plugin.importance["6.weight"].data, 3 * old["6.weight"][:, [0, 1, 2, 4]])
    assert torch.equal(plugin.params["4.weight"].data, 2 * old["4.weight"][[0, 1, 2, 4]])


def test_a_head_that_has_grown_since_gets_zeros_as_avalanche_gives_it():
    made = network()
    ewc, _, si, our_ewc, _, our_si = stiff(made)
    old = ewc.importances[0]["6.weight"].data.clone()
    made[6] = nn.Linear(5, 6)
    structure = structure_of(made)
    carry_plugins(strategy(structure, ewc, si, our_ewc, our_si), remove_units(structure, "4", [2]))
    expected = torch.cat([old[:, [0, 1, 3, 4]], torch.zeros(3, 4)])
    assert torch.equal(our_ewc.fisher[0]["6.weight"], expected)
    assert torch.equal(our_si.importance["6.weight"], expected)
    assert torch.equal(ewc.importances[0]["6.weight"].data, expected)
    assert torch.equal(si.ewc_data[1]["6.weight"].data, expected.flatten())


def test_copies_of_the_weights_to_go_back_to():
    made = network()
    structure, early = structure_of(made), EarlyStoppingPlugin(1, "test")
    scratch = FromScratchTrainingPlugin()
    early.best_state = {name: 2 * value.clone() for name, value in made.state_dict().items()}
    scratch.initial_weights = {**early.best_state, "6.weight": torch.zeros(1, 5)}  # of a head that has grown since
    old = made[0].weight.detach().clone()
    carry_plugins(strategy(structure, early, scratch), create_units(structure, "0", 2))
    carry_plugins(strategy(structure, early, scratch), remove_units(structure, "4", [0]))
    assert "6.weight" not in scratch.initial_weights
    newborn = made[0].weight[4:].detach().clone()
    made.load_state_dict(early.best_state)
    assert torch.equal(made[0].weight[:4], 2 * old)
    assert torch.equal(made[0].weight[4:], newborn)
    assert made[1].running_mean.shape == (6,)


def test_a_teacher_keeps_its_shape():
    made = network()
    structure, plugin = structure_of(made), LwFPlugin()
    plugin.lwf.prev_model = network()
    teacher = {name: value.clone() for name, value in plugin.lwf.prev_model.state_dict().items()}
    carry_plugins(strategy(structure, plugin), create_units(structure, "0", 2))
    assert all(torch.equal(value, teacher[name]) for name, value in plugin.lwf.prev_model.state_dict().items())


def test_a_plugin_with_carry_sees_to_itself_and_others_are_left_alone():
    seen = []

    class Own(EWCPlugin):
        def carry(self, change, network):
            seen.append((change.layer, network))

    made = network()
    structure, own, other = structure_of(made), Own(1.0), SimpleNamespace(importances=weights(made))
    own.importances[0] = values = weights(made)
    before = dict(other.importances)
    carry_plugins(strategy(structure, own, other), create_units(structure, "4"))
    assert seen == [("4", made)]
    assert own.importances[0] is values
    assert other.importances == before


@pytest.mark.parametrize("kind", CHANGES)
def test_avalanche_finds_every_parameter_in_the_optimizer(kind):
    made, _, acting = changed(kind, EWCPlugin(1.0))
    assert set(acting.optimized_param_id) == set(dict(made.named_parameters()))
    for name, parameter in made.named_parameters():
        assert acting.optimized_param_id[name] is parameter


def test_a_head_that_the_optimizer_has_not_got_is_not_said_to_be_in_it():
    made = network()
    structure = structure_of(made)
    acting = strategy(structure)
    trained = made[6].weight
    made[6].weight = nn.Parameter(
        torch.randn(4, 5)
    )  # as an evaluation does in Avalanche: the optimizer has the old one
    made[6].bias = nn.Parameter(torch.randn(4))
    carry_plugins(acting, create_units(structure, "4"))
    assert acting.optimized_param_id["6.weight"] is trained
    assert acting.optimized_param_id["4.weight"] is made[4].weight


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10))
def test_long_chains_of_changes(seed):
    """Of each surviving weight what was held at first is held after any number of changes."""
    chosen = random.Random(seed)
    torch.manual_seed(seed)
    made = network()
    structure, plugin = structure_of(made), MASPlugin()
    si = SynapticIntelligencePlugin(1.0)
    plugin.params, plugin.importance = weights(made, 2.0), weights(made, 3.0)
    si.ewc_data = weights(made, 2.0, flat=True), weights(made, 3.0, flat=True)
    first = {name: parameter.detach().clone() for name, parameter in made.named_parameters()}
    for _ in range(12):
        layer = chosen.choice(["0", "4"])
        units = structure.layer(layer).units
        acts = [lambda layer=layer: create_units(structure, layer, chosen.randint(1, 3), Fresh())]
        if units > 3:
            gone = chosen.sample(range(units), 2)
            acts.append(lambda layer=layer, gone=gone: remove_units(structure, layer, gone))
            acts.append(lambda layer=layer, gone=gone: reinitialise_units(structure, layer, gone, Fresh()))
        carry_plugins(strategy(structure, plugin, si), chosen.choice(acts)())
    check(plugin.importance, made, first, 3.0, anchors=False)
    check(si.ewc_data[1], made, first, 3.0, anchors=False, flat=True)
