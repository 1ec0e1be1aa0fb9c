"""Strategies that act on all weights, against their formulas worked out by hand or in numpy."""

from __future__ import annotations

from importlib import import_module

import cloudpickle
import numpy as np
import pytest
import torch
from torch import nn

from lifelong import Setup, load_scenario, load_strategy
from lifelong.errors import UsageError
from lifelong.plasticity import Grow, Plasticity, Rule, TaskArrives
from lifelong.records.spec import Budget
from lifelong.registry import strategies

FAMILY = strategies.get("upgd").function.__module__
_injection, _perturbing, _pulling = (
    import_module(f"{FAMILY}.{name}") for name in ("injection", "perturbing", "pulling")
)
InjectedHead, PlasticityInjection = _injection.InjectedHead, _injection.PlasticityInjection
ShrinkAndPerturb, L2, L2Init = _perturbing.ShrinkAndPerturb, _pulling.L2, _pulling.L2Init
UPGD = import_module(f"{FAMILY}.utility_descent").UPGD


class Network(nn.Module):
    def __init__(self, *widths):
        super().__init__()
        layers, inputs = [nn.Flatten()], 64
        for width in widths:
            layers += [nn.Linear(inputs, width), nn.ReLU()]
            inputs = width
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Linear(inputs, 10)

    def forward(self, x):
        return self.classifier(self.features(x))


@pytest.fixture(scope="module")
def stream():
    return list(load_scenario("digits-class", seed=0).train_stream)


def setup(*widths, optimizer=torch.optim.SGD, lr=0.1, **more):
    torch.manual_seed(5)
    network = Network(*(widths or (12, 8)))
    return Setup(network, optimizer(network.parameters(), lr=lr, **more), Budget(epochs=1, batch_size=32))


def weights(network):
    return torch.cat([parameter.detach().flatten() for parameter in network.parameters()])


# Utility-based perturbed gradient descent


def stepped(values, gradients, **settings):
    """Single weights, each with a sequence of gradients, after the steps of UPGD."""
    parameters = [nn.Parameter(torch.tensor([value], dtype=torch.float64)) for value in values]
    optimizer = UPGD(parameters, **settings)
    for step in zip(*gradients, strict=True):
        for parameter, gradient in zip(parameters, step, strict=True):
            parameter.grad = torch.tensor([gradient], dtype=torch.float64)
        optimizer.step()
    return [float(parameter.detach()) for parameter in parameters]


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def test_a_step_of_upgd_worked_out_by_hand():
    """Utilities -g w: 0.5, -0.25 and 0; the largest is 0.5, so they are 1, -1/2 and 0 of it."""
    got = stepped([1.0, 0.5, 0.0], [[-0.5], [0.5], [2.0]], lr=0.1, sigma=0.0, beta_utility=0.9)
    by_hand = [
        1.0 + 0.1 * 0.5 * 2 * (1 - 0.7310585786300049),
        0.5 - 0.1 * 0.5 * 2 * (1 - 0.3775406687981454),
        0.0 - 0.1 * 2.0,  # without utility it is an ordinary step
    ]
    assert got == pytest.approx(by_hand, abs=1e-12)


@pytest.mark.parametrize("adaptive", [False, True])
def test_several_steps_of_upgd_with_decay_against_numpy(adaptive):
    rng = np.random.default_rng(1)
    w, gradients = rng.normal(size=4), rng.normal(size=(4, 6))
    settings = {"lr": 0.05, "beta_utility": 0.8, "weight_decay": 0.3}
    got = stepped(w, gradients, sigma=0.0, adaptive=adaptive, betas=(0.7, 0.95), eps=1e-3, **settings)
    u, m, v = np.zeros(4), np.zeros(4), np.zeros(4)
    for t, g in enumerate(gradients.T, start=1):
        u = 0.8 * u + 0.2 * -g * w
        corrected = u / (1 - 0.8**t)
        m, v = 0.7 * m + 0.3 * g, 0.95 * v + 0.05 * g**2
        direction = m / (1 - 0.7**t) / (np.sqrt(v / (1 - 0.95**t)) + 1e-3) if adaptive else g
        gate = 1 - sigmoid(corrected / corrected.max() if corrected.max() > 0 else 0 * corrected)
        w = (1 - 0.05 * 0.3) * w - 2 * 0.05 * direction * gate
    assert got == pytest.approx(w, rel=1e-9)


def test_upgd_compares_utilities_after_correcting_each_for_its_age():
    """The second weight's first gradient comes late. Averages 0.19 and 0.1, corrected by as much, are 1."""
    early, late = nn.Parameter(torch.ones(1)), nn.Parameter(torch.ones(1))
    optimizer = UPGD([early, late], 1e-12, sigma=0.0, beta_utility=0.9)
    early.grad = -torch.ones(1)
    optimizer.step()
    late.grad = -torch.ones(1)
    optimizer.param_groups[0]["lr"] = 0.1
    optimizer.step()
    expected = 1 + 2 * 0.1 * (1 - 0.7310585786300049)
    assert [float(each.detach()) for each in (early, late)] == pytest.approx([expected, expected], rel=1e-6)


def test_upgd_moves_a_weight_without_gradient_not_at_all_and_the_useless_with_noise():
    torch.manual_seed(0)
    idle, still = nn.Parameter(torch.ones(3)), nn.Parameter(torch.zeros(20000))
    optimizer = UPGD([idle, still], lr=0.5, sigma=0.1, weight_decay=1.0)
    still.grad = torch.zeros(20000)
    optimizer.step()
    assert torch.equal(idle, torch.ones(3))
    assert float(still.detach().std()) == pytest.approx(0.5 * 0.1, rel=0.03)  # 2 lr sigma / 2
    assert abs(float(still.detach().mean())) < 0.002


def test_upgd_takes_the_place_of_the_given_optimizer_with_its_settings(stream):
    adam = setup(optimizer=torch.optim.Adam, lr=0.003, weight_decay=0.02, betas=(0.8, 0.99))
    made = load_strategy("upgd", adam.model, adam.optimizer, sigma=0.5)
    (group,) = made.optimizer.param_groups
    assert (group["lr"], group["weight_decay"], group["betas"]) == (0.003, 0.02, (0.8, 0.99))
    assert group["adaptive"]
    assert group["sigma"] == 0.5
    before = weights(adam.model)
    made.train(stream[0])
    assert not torch.equal(weights(adam.model), before)
    sgd = setup(momentum=0.9)
    assert not load_strategy("upgd", sgd.model, sgd.optimizer).optimizer.param_groups[0]["adaptive"]


def test_the_utility_decays():
    with pytest.raises(UsageError, match=r"beta_utility = 1\.0 is not in \[0, 1\)"):
        UPGD([nn.Parameter(torch.ones(1))], 0.1, beta_utility=1.0)


def test_upgd_follows_growth(stream):
    given = setup()
    optimizer = UPGD(given.model.parameters(), 0.01)
    grown = Setup(given.model, optimizer, given.budget).naive(Plasticity(Rule(when=TaskArrives(), what=Grow(4))))
    for experience in stream[:2]:
        grown.train(experience)
    weight = given.model.features[1].weight
    assert weight.shape == (16, 64)
    assert optimizer.state[weight]["utility"].shape == (16, 64)
    assert optimizer.state[weight]["utility"][12:].abs().sum() > 0


# Shrink and perturb


def perturbed(stream, when, shrink, noise, lr=1e-30):
    """After one experience, or two for task arrivals, with a learning rate that moves nothing."""
    given = setup(lr=lr)
    before = weights(given.model)
    strategy = given.naive(ShrinkAndPerturb(when, shrink, noise))
    for experience in stream[:2]:
        strategy.train(experience)
    return before, weights(given.model)


def test_shrinking_at_task_arrival_leaves_the_first_task_alone(stream):
    before, after = perturbed(stream, "task arrival", 0.5, 0.0)
    assert torch.allclose(after, 0.5 * before, rtol=1e-6)


def test_shrinking_at_each_step(stream):
    steps = sum(-(-len(experience.dataset) // 32) for experience in stream[:2])
    before, after = perturbed(stream, "step", 0.9, 0.0)
    assert torch.allclose(after, 0.9**steps * before, rtol=1e-4)


def test_the_noise_has_the_deviation_that_was_asked_for(stream):
    before, after = perturbed(stream, "task arrival", 1.0, 0.25)
    assert float((after - before).std()) == pytest.approx(0.25, rel=0.1)


def test_noise_leaves_the_batches_as_they_are(stream):
    plain, noisy = setup(), setup()
    seen = {}
    for name, strategy in {"plain": plain.naive(), "noisy": noisy.naive(ShrinkAndPerturb("step", 1.0, 0.1))}.items():
        torch.manual_seed(11)
        strategy.train(stream[0])
        seen[name] = torch.randn(3)
    assert torch.equal(seen["plain"], seen["noisy"])


def test_a_task_free_stream_tells_no_arrival():
    given = setup()
    given.protocol = "task-free"
    from lifelong.registry import strategies

    with pytest.raises(UsageError, match="use when='step'"):
        strategies.get("shrink-and-perturb")(given, when="task arrival")


# Penalties


class Loss:
    """What a strategy shows a plug-in before the backward pass."""

    def __init__(self, model):
        self.model = model
        self.loss = torch.zeros(())


def gradients(plugin, model):
    strategy = Loss(model)
    plugin.before_backward(strategy)
    model.zero_grad()
    strategy.loss.backward()
    return [parameter.grad.clone() for parameter in model.parameters()]


def test_l2_init_pulls_to_the_initial_weights():
    """The gradient of weight * ||theta - theta_0||^2 is 2 * weight * (theta - theta_0)."""
    model = nn.Linear(3, 2)
    plugin = L2Init(0.25)
    plugin.before_training_exp(Loss(model))
    with torch.no_grad():
        model.weight += torch.tensor([[1.0, 0.0, -2.0], [0.0, 0.0, 4.0]])
    weight, bias = gradients(plugin, model)
    assert torch.allclose(weight, torch.tensor([[0.5, 0.0, -1.0], [0.0, 0.0, 2.0]]))
    assert torch.equal(bias, torch.zeros(2))


def test_l2_pulls_to_zero():
    model = nn.Linear(3, 2)
    weight, bias = gradients(L2(0.25), model)
    assert torch.allclose(weight, 0.5 * model.weight)
    assert torch.allclose(bias, 0.5 * model.bias)


def test_the_anchor_of_l2_init_follows_growth_and_new_weights_are_held_where_they_start(stream):
    given = setup(lr=1e-30)
    plugin = L2Init(1.0)
    initial = given.model.features[1].weight.detach().clone()
    strategy = given.naive(plugin, Plasticity(Rule(when=TaskArrives(), what=Grow(4))))
    for experience in stream[:2]:
        strategy.train(experience)
    anchors = {name: plugin.anchor(name) for name, _ in given.model.named_parameters()}
    assert torch.equal(anchors["features.1.weight"][:12], initial)
    assert {name: tensor.shape for name, tensor in anchors.items()} == {
        name: parameter.shape for name, parameter in given.model.named_parameters()
    }
    assert all(float(gradient.abs().max()) < 1e-6 for gradient in gradients(plugin, given.model))


# Plasticity injection


def injected(stream, optimizer=torch.optim.Adam, experiences=2, at=1, widths=(12, 8)):
    given = setup(*widths, optimizer=optimizer, lr=0.01)
    strategy = given.naive(PlasticityInjection(given.model, at=at, hidden=1))
    for experience in stream[:experiences]:
        strategy.train(experience)
    return given.model, strategy


def test_an_injection_preserves_the_outputs_exactly_and_then_learns_in_the_fresh_part_alone(stream):
    model, strategy = injected(stream, experiences=1, at=9)
    x = torch.rand(7, 1, 8, 8)
    before = model(x)
    strategy.plugins[0]._inject(strategy)
    assert torch.equal(model(x), before)
    head = model.classifier
    assert isinstance(head, InjectedHead)
    kept = {name: value.clone() for name, value in head.state_dict().items()}
    assert all(torch.equal(kept[name], kept[name.replace("new", "twin")]) for name in kept if name.startswith("new"))
    assert not torch.equal(kept["new.classifier.weight"], kept["old.classifier.weight"])
    encoder = model.features[1].weight.detach().clone()
    strategy.train(stream[1])
    moved = {name for name, value in head.state_dict().items() if not torch.equal(value, kept[name])}
    assert moved == {name for name in kept if name.startswith("new")}
    assert not torch.equal(model.features[1].weight, encoder)


def test_an_injection_keeps_the_encoders_optimizer_state_and_starts_the_fresh_parts(stream):
    model, strategy = injected(stream)
    steps = [-(-len(experience.dataset) // 32) for experience in stream[:2]]
    state = strategy.optimizer.state
    assert float(state[model.features[1].weight]["step"]) == sum(steps)
    assert float(state[model.classifier.new.hidden[0].weight]["step"]) == steps[1]
    trained = {id(parameter) for parameter in model.parameters() if parameter.requires_grad}
    assert {id(parameter) for parameter in state} == trained


def test_an_injection_takes_place_once_at_its_experience(stream):
    model, _ = injected(stream, experiences=3)
    assert not [m for m in model.classifier.modules() if isinstance(m, InjectedHead)][1:]
    model, _ = injected(stream, experiences=1)
    assert isinstance(model.classifier, nn.Linear)


def test_a_network_that_cannot_be_split_is_refused():
    plain = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    with pytest.raises(UsageError, match="Sequential is not such a one"):
        PlasticityInjection(plain, 1, 1)
    with pytest.raises(UsageError, match=r"hidden = 3, but the network has 2 hidden layers"):
        PlasticityInjection(Network(12, 8), 1, 3)


def test_an_injected_strategy_can_be_pickled_and_trained_on(stream):
    model, strategy = injected(stream)
    copy = cloudpickle.loads(cloudpickle.dumps(strategy))
    for each in (strategy, copy):
        torch.manual_seed(2)
        each.train(stream[2])
    assert torch.equal(weights(model), weights(copy.model))
