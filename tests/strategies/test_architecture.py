"""Strategies with a part of the network, or a network, for each task; and CWR*."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from lifelong import Setup, load_strategy
from lifelong.errors import UsageError
from lifelong.records.spec import Budget
from lifelong.registry import strategies
from lifelong.training.evaluation import evaluate


@pytest.fixture(scope="module")
def stream(built: Any) -> Any:
    """`(name, scenario, epochs, **parameters) -> (strategy, benchmark, R)`, trained on three experiences."""

    def train(name: str, scenario: str = "digits-class", epochs: int = 5, **parameters: Any) -> Any:
        prepared = built(name, scenario, epochs, (40, 20), **parameters)
        strategy, tests = prepared.strategy, prepared.benchmark.test_stream[:3]
        R = []
        for experience in prepared.benchmark.train_stream[:3]:
            strategy.train(experience)
            R.append(evaluate(strategy, tests))
        return strategy, prepared.benchmark, R

    return train


@pytest.mark.parametrize("name", ["pnn", "packnet"])
def test_learnt_tasks_are_never_touched(stream: Any, name: str) -> None:
    _, _, R = stream(name, "digits-task")
    assert R[2][0] == R[1][0] == R[0][0]
    assert R[2][1] == R[1][1]
    assert min(R[0][0], R[1][1], R[2][2]) > 0.85


@pytest.mark.parametrize("name", ["pnn", "packnet", "cwr-star", "ar1", "expert-gate"])
def test_the_untrained_network_is_that_of_all_others(built: Any, name: str) -> None:
    protocol = "digits-task" if "task labels" in strategies.get(name).needs else "digits-class"
    rows = []
    for each in (name, "naive"):
        prepared = built(each, protocol)
        rows.append(evaluate(prepared.strategy, prepared.benchmark.test_stream))
    assert rows[0] == rows[1]


def test_pnn_has_columns_for_tasks_trained_alone(stream: Any) -> None:
    strategy, _, _ = stream("pnn", "digits-task", epochs=1)
    assert [len(layer.columns) for layer in strategy.model.layers] == [3, 3]


def test_packnet_is_refused_where_it_cannot_prune() -> None:
    normalised = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Linear(3, 2))
    with pytest.raises(UsageError, match=r"packnet cannot share out.*BatchNorm1d"):
        load_strategy("packnet", normalised, torch.optim.SGD(normalised.parameters()))
    plain = nn.Sequential(nn.Linear(4, 3))
    optimizer = torch.optim.SGD(plain.parameters())
    with pytest.raises(UsageError, match="training_macs"):
        load_strategy("packnet", plain, optimizer, budget=Budget(training_macs=10))


class Network(nn.Module):
    def __init__(self, features: nn.Module, classifier: nn.Module | None = None) -> None:
        super().__init__()
        self.features = features
        self.classifier = classifier or nn.Linear(3, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.classifier(self.features(x))
        return logits


def heads(features: nn.Module) -> Network:
    from avalanche.models import MultiHeadClassifier

    return Network(features, MultiHeadClassifier(3, 2, masking=False))


CASES = [
    ("pnn", Network(nn.Linear(4, 3)), "a head; use --set model.head=protocol"),
    ("pnn", heads(nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Dropout())), "this network has Dropout"),
    ("pnn", heads(nn.Sequential(nn.Flatten(), nn.Linear(4, 3), nn.Tanh())), "this network has Tanh"),
    ("cwr-star", nn.Sequential(nn.Linear(4, 2)), "Sequential cannot be used"),
    ("ar1", nn.Sequential(nn.Linear(4, 2)), "Sequential cannot be used"),
    ("lfl", nn.Sequential(nn.Linear(4, 2)), "Sequential cannot be used"),
    ("cope", nn.Sequential(nn.Linear(4, 2)), "Sequential cannot be used"),
    ("ppp-loss", heads(nn.Linear(4, 3)), "use --set model.head=single"),
]


@pytest.mark.parametrize(("name", "model", "reason"), CASES, ids=[f"{case[0]}-{i}" for i, case in enumerate(CASES)])
def test_networks_that_do_not_do_are_refused(name: str, model: nn.Module, reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        load_strategy(name, model, torch.optim.SGD(model.parameters()), inputs=(torch.zeros(2, 4),))


def test_cwr_star_learns_features_once(stream: Any) -> None:
    """And sets the weights of classes aside that do not come."""
    strategy, benchmark, _ = stream("cwr-star")
    old = sorted(benchmark.train_stream[0].classes_in_this_experience)
    new = sorted(benchmark.train_stream[3].classes_in_this_experience)
    before = {name: weight.clone() for name, weight in strategy.model.named_parameters()}
    strategy.train(benchmark.train_stream[3])
    assert all(
        torch.equal(weight, before[f"features.{name}"]) for name, weight in strategy.model.features.named_parameters()
    )
    weights = strategy.model.classifier.weight
    assert torch.equal(weights[old], before["classifier.weight"][old])
    assert not torch.equal(weights[new], before["classifier.weight"][new])


def test_ar1_goes_on_learning_features(stream: Any) -> None:
    strategy, benchmark, _ = stream("ar1", epochs=1)
    before = strategy.model.features.fc1.weight.clone()
    strategy.train(benchmark.train_stream[3])
    assert not torch.equal(before, strategy.model.features.fc1.weight)
    assert strategy.model.classifier.bias.abs().max() == 0


# Expert gate


def test_the_gate_finds_the_expert_without_a_label(stream: Any) -> None:
    strategy, _, R = stream("expert-gate", epochs=10)
    assert len(strategy.model.experts) == len(strategy.model.gates) == 3
    assert min(R[2]) > 0.6


def test_the_gate_judges_sample_by_sample(stream: Any) -> None:
    """What stands in the same batch makes no difference."""
    strategy, benchmark, _ = stream("expert-gate", epochs=2)
    model = strategy.model.eval()
    x = torch.stack([experience.dataset[i][0] for experience in benchmark.test_stream[:3] for i in range(4)])
    alone = torch.cat([model(sample[None]) for sample in x])
    torch.testing.assert_close(model(x), alone)
    errors = torch.stack([gate(x) for gate in model.gates])
    chosen = errors.argmin(0).tolist()
    assert len(set(chosen)) > 1
    expected = torch.cat([model.experts[k](sample[None]) for k, sample in zip(chosen, x, strict=True)])
    torch.testing.assert_close(alone, expected)


def test_a_new_expert_starts_as_the_most_related(stream: Any) -> None:
    strategy, benchmark, _ = stream("expert-gate", epochs=1)
    model = strategy.model
    with torch.no_grad():
        x = torch.stack([sample[0] for sample in benchmark.train_stream[1].dataset])
        related = int(torch.stack([gate(x).sum() for gate in model.gates]).argmin())
        model.train().adaptation(benchmark.train_stream[1])
        assert related == 1, "whose gate was trained on these"
        assert torch.equal(model.experts[3].classifier.weight, model.experts[related].classifier.weight)
    assert not any(weight.requires_grad for weight in model.experts[:3].parameters())
    assert all(weight.requires_grad for weight in model.experts[3].parameters())


def test_a_code_that_hides_nothing_is_refused() -> None:
    model = nn.Linear(4, 2)
    setup = Setup(model, torch.optim.SGD(model.parameters()), inputs=(torch.zeros(2, 4),))
    with pytest.raises(UsageError, match="code = 4 hides nothing of the 4 inputs"):
        strategies.get("expert-gate")(setup, code=4)
    assert strategies.get("expert-gate")(setup).model.code == 2, "half the inputs"
