"""Each formula on numbers worked by hand, and a whole network inspected without a trace."""

from __future__ import annotations

import math
from collections import OrderedDict
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from lifelong.measures.inspection import inspect
from lifelong.measures.plasticity import (
    dormant,
    dormant_redo,
    effective_rank,
    gradient_norm,
    mean_magnitude,
    mutually_frozen,
    stable_rank,
)
from lifelong.models import build_model
from lifelong.structure import Structure, freeze_units


def test_dormant_by_both_definitions_is_not_the_same() -> None:
    activations = torch.zeros(200, 3)
    activations[0, 0] = 1000.0  # fires on 0.5 % of the inputs, but then strongly
    activations[:3, 1] = 0.01  # fires on 1.5 %, but hardly
    activations[:, 2] = 1.0
    assert dormant(activations).tolist() == [True, False, False]
    # mean |h|: 5, 0.00015, 1; their mean is 2.00005, and 0.025 of it 0.05.
    assert dormant_redo(activations).tolist() == [False, True, False]
    assert dormant_redo(activations, tau=0.5).tolist() == [False, True, True]


def test_the_thresholds_are_as_published() -> None:
    firing = torch.zeros(100, 2)
    firing[0] = 1.0
    assert dormant(firing).tolist() == [False, False]  # exactly 1 % is not under 1 %
    assert dormant_redo(torch.tensor([[0.1, 7.9]])).tolist() == [True, False]  # 0.1 = 0.025 * 4
    assert dormant_redo(torch.tensor([[-0.2, 7.8]])).tolist() == [False, False]


def test_in_a_silent_layer_all_units_are_dormant() -> None:
    assert dormant_redo(torch.zeros(5, 2)).all()
    assert dormant(torch.zeros(5, 2)).all()


def test_ranks_of_known_singular_values() -> None:
    turn, _ = torch.linalg.qr(torch.randn(5, 5, generator=torch.Generator().manual_seed(0)))
    features = turn[:, :3] @ torch.diag(torch.tensor([4.0, 2.0, 2.0]))
    # p = 1/2, 1/4, 1/4: the entropy is 1.5 ln 2.
    assert effective_rank(features) == pytest.approx(2**1.5, rel=1e-6)
    assert stable_rank(features) == pytest.approx((16 + 4 + 4) / 16, rel=1e-6)


def test_ranks_of_equal_singular_values_count_them() -> None:
    for rank in (effective_rank, stable_rank):
        assert rank(7 * torch.eye(4)) == pytest.approx(4)
        assert rank(torch.ones(6, 4)) == pytest.approx(1)
        assert math.isnan(rank(torch.zeros(3, 2)))


def test_magnitude_is_over_all_elements() -> None:
    assert mean_magnitude([torch.tensor([[1.0, -2.0, 3.0]]), torch.tensor([[-6.0]])]) == 3.0
    assert math.isnan(mean_magnitude([]))


def test_gradient_norm_is_that_of_one_vector() -> None:
    assert gradient_norm([torch.tensor([[2.0, -1.0]]), torch.tensor([2.0])]) == pytest.approx(3.0)
    assert gradient_norm([]) == 0.0


def test_mutually_frozen_is_small_on_both_sides() -> None:
    fan_in = torch.tensor([1.0, 0.01, 0.01, 1.0, 2.0])
    fan_out = torch.tensor([1.0, 0.01, 1.0, 0.01, 2.0])
    assert mutually_frozen(fan_in, fan_out).tolist() == [False, True, False, False, False]
    assert mutually_frozen(fan_in, fan_out, epsilon=0.01).tolist() == [False, True, False, False, False]
    assert not mutually_frozen(fan_in, fan_out, epsilon=0.009).any()
    assert mutually_frozen(torch.zeros(3), torch.zeros(3)).all()


def by_hand(activation: nn.Module) -> nn.Sequential:
    """Two inputs, three hidden units, one output; the first unit passes the first input, the last is cut off."""
    network = nn.Sequential(OrderedDict(hidden=nn.Linear(2, 3), act=activation, out=nn.Linear(3, 1)))
    with torch.no_grad():
        network.hidden.weight.copy_(torch.tensor([[1.0, 0.0], [0.0, 3.0], [0.0, 0.0]]))
        network.hidden.bias.zero_()
        network.out.weight.copy_(torch.tensor([[2.0, -4.0, 0.0]]))
        network.out.bias.zero_()
    return network


X, Y, T = torch.tensor([[1.0, 0.0], [2.0, -1.0]]), torch.zeros(2), torch.zeros(2, dtype=torch.int64)


def readings(*arguments: Any) -> dict[str, float | None]:
    """What is read of a network of which all can be read."""
    inspection = inspect(*arguments)
    assert inspection.unread == {}
    return inspection.values


def mean_output(output: Tensor, target: Tensor) -> Tensor:
    return (output[:, 0] - target).mean()


def test_a_network_worked_by_hand() -> None:
    # Activations: unit 0: 1, 2; unit 1: 0, 0 (ReLU of 0 and -3); unit 2: 0, 0.
    newborn = {"hidden": torch.tensor([False, True, False])}
    found = readings(by_hand(nn.ReLU()), X, Y, T, mean_output, newborn)
    # Gradients: hidden.weight[0] 2 mean(x) = (3, -1), hidden.bias[0] 2; out.weight (1.5, 0, 0), out.bias 1.
    assert found == pytest.approx(
        {
            "dormant_units": 2 / 3,
            "dormant_units_redo": 2 / 3,
            "effective_rank": 1.0,
            "stable_rank": 1.0,
            "weight_norm": (1 + 3 + 2 + 4) / 9,
            "gradient_norm": math.sqrt(9 + 1 + 4 + 2.25 + 1),
            "gradient_norm_newborn": 0.0,
            "gradient_norm_incumbent": math.sqrt(10) / 2,
            "frozen_units": 1 / 3,
            "protected_units": 0.0,
        }
    )


def test_what_does_not_exist_is_none() -> None:
    network = by_hand(nn.Tanh())
    with torch.no_grad():
        network.hidden.bias.fill_(-0.5)
    found = readings(network, X, Y, T, mean_output)
    assert found["dormant_units"] is None, "tanh is never zero"
    assert found["gradient_norm_newborn"] is None
    assert found["gradient_norm_incumbent"] is not None
    assert readings(by_hand(nn.ReLU()), torch.zeros(2, 2), Y, T, mean_output)["effective_rank"] is None


def test_relu_units_that_are_never_at_zero_are_not_dormant() -> None:
    network = by_hand(nn.ReLU())
    with torch.no_grad():
        network.hidden.bias.fill_(9.0)
    assert readings(network, X, Y, T, mean_output)["dormant_units"] == 0.0


def test_units_frozen_on_purpose_are_protected_and_nothing_else() -> None:
    network = by_hand(nn.ReLU())
    freeze_units(Structure(network, X[:1]), "hidden", [0, 1])
    found = readings(network, X, Y, T, mean_output)
    assert found["protected_units"] == pytest.approx(2 / 3)
    assert found["frozen_units"] == pytest.approx(1 / 3)


def convolutional() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Flatten(),
        nn.Dropout(0.5),
        nn.Linear(4 * 16, 6),
        nn.ReLU(),
        nn.Linear(6, 3),
    )


def test_inspection_leaves_no_trace() -> None:
    torch.manual_seed(0)
    network = convolutional()
    network[5].weight.grad = torch.ones_like(network[5].weight)
    network[1].eval()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    modes = [module.training for module in network.modules()]
    x, y = torch.randn(8, 1, 4, 4), torch.randint(3, (8,))
    random = torch.get_rng_state()
    first = readings(network, x, y, torch.zeros(8), cross_entropy)
    assert first == readings(network, x, y, torch.zeros(8), cross_entropy), "dropout is off"
    assert torch.equal(torch.get_rng_state(), random)
    assert [module.training for module in network.modules()] == modes
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert [name for name, value in network.named_parameters() if value.grad is not None] == ["5.weight"]
    assert torch.equal(network[5].weight.grad, torch.ones_like(network[5].weight))
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in network.modules())


def test_gradients_are_those_of_training_in_eval_mode() -> None:
    torch.manual_seed(0)
    network = convolutional().eval()
    x, y = torch.randn(8, 1, 4, 4), torch.randint(3, (8,))
    found = readings(network, x, y, torch.zeros(8), cross_entropy)
    cross_entropy(network(x), y).backward()
    gradients = [parameter.grad for parameter in network.parameters()]
    assert found["gradient_norm"] == pytest.approx(float(nn.utils.get_total_norm(gradients)), rel=1e-5)
    per_unit = torch.cat([network[0].weight.grad.flatten(1).norm(dim=1), network[5].weight.grad.norm(dim=1)])
    assert found["gradient_norm_incumbent"] == pytest.approx(float(per_unit.mean()), rel=1e-5)
    features = network[:7](x)
    assert found["effective_rank"] == pytest.approx(effective_rank(features), rel=1e-4)


def test_heads_for_tasks_share_their_features() -> None:
    from lifelong import load_scenario

    torch.manual_seed(0)
    benchmark = load_scenario("toy-task")
    network = build_model("mlp", {"widths": [8]}, protocol="task", benchmark=benchmark)
    parts = [experience.dataset for experience in benchmark.test_stream]
    x = torch.stack([sample[0] for part in parts for sample in part])
    y = torch.tensor([sample[1] for part in parts for sample in part])
    labels = torch.tensor([sample[2] for part in parts for sample in part])
    assert labels.unique().tolist() == [0, 1, 2]
    found = readings(network, x, y, labels, cross_entropy)
    assert found["effective_rank"] == pytest.approx(effective_rank(network.features(x)), rel=1e-4)


class Unanalysable(nn.Module):
    """Computes with its outputs' values in Python, where no analysis can follow."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(2, 1)

    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([self.layer(row) * float(row.sum()) for row in x])


def test_of_a_network_that_cannot_be_analysed_there_is_less() -> None:
    found = readings(Unanalysable(), X, Y, T, mean_output)
    assert {name for name, value in found.items() if value is not None} == {"weight_norm", "gradient_norm"}


class Scrambling(nn.Module):
    """A network whose answers in eval mode are distances to fixed points, without a gradient."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden, self.out = nn.Linear(2, 3), nn.Linear(3, 2)
        self.register_buffer("points", torch.ones(2, 3))

    def forward(self, x: Tensor) -> Tensor:
        features = torch.relu(self.hidden(x))
        if self.training:
            return self.out(features)
        with torch.no_grad():
            return -torch.cdist(features, self.points)


def test_a_loss_without_a_gradient_leaves_the_other_readings() -> None:
    inspection = inspect(Scrambling(), X, Y.long(), T, cross_entropy)
    without = {"gradient_norm", "gradient_norm_newborn", "gradient_norm_incumbent"}
    assert inspection.unread == dict.fromkeys(without, "the loss in eval mode has no gradient")
    assert all(inspection.values[name] is None for name in without)
    assert inspection.values["weight_norm"] is not None


class Wrapped(nn.Module):
    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return {"logits": self.network(x)}


def test_outputs_that_only_the_strategy_can_take_apart() -> None:
    network = by_hand(nn.ReLU())
    wrapped = Wrapped(network)
    failed = inspect(wrapped, X, Y, T, mean_output)
    assert "gradient_norm" in failed.unread
    assert failed.values["weight_norm"] == pytest.approx(10 / 9)
    taken = inspect(wrapped, X, Y, T, mean_output, None, lambda: wrapped(X)["logits"])
    assert taken.unread == {}
    plain = readings(network, X, Y, T, mean_output)
    assert taken.values == pytest.approx(plain)
